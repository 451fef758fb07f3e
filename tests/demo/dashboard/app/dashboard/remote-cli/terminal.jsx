'use client';

import { useEffect, useRef, useState } from 'react';

const WORDS = {
	idle: 'Not connected',
	connecting: 'Connecting…',
	connected: 'Connected',
	disconnected: 'Disconnected',
};

const NORMAL = [1000, 1005];	// the codes of an end that somebody asked for (RFC 6455 7.4.1)
const NO_CLOSE = 1006;		// the browser's own: nobody sent a Close
const SIGNED_OUT = 4401;

// What a Close says, as novnc-gate sends it: null if there is nothing to tell.
function fault({ code, reason }) {
	if (NORMAL.includes(code))
		return null;
	if (code === NO_CLOSE)
		return { what: `Nothing answers at ${window.location.origin}.`, words: 'Is "make demo" still running?' };
	return {
		what: code >= 4000 ? 'The terminal cannot be opened.' : 'The terminal has ended.',
		words: `${code}: ${reason}`,
		signedOut: code === SIGNED_OUT,
	};
}

let fetched = 0;	// a browser never asks again for a module that it has not got

// noVNC's client, which the master-controller serves; undefined if it cannot be had.
async function noVnc(path) {
	try {
		return (await import(/* turbopackIgnore: true */ `${path}/core/rfb.js?${fetched}`)).default;
	} catch {
		fetched++;
	}
}

export default function Terminal({ path }) {
	const screen = useRef(null);
	const rfb = useRef(null);
	const [state, setState] = useState('idle');
	const [why, setWhy] = useState(null);
	const [alive, setAlive] = useState(false);	// a click before that would be lost

	useEffect(() => setAlive(true), []);

	// The page makes the WebSocket itself: noVNC's own events have neither code nor reason.
	async function connect() {
		setState('connecting');
		setWhy(null);
		const RFB = await noVnc(path);
		const socket = new WebSocket(`${window.location.origin.replace(/^http/, 'ws')}${path}/websock`);

		socket.addEventListener('close', (event) => {
			setState('disconnected');
			setWhy(fault(event));
		});
		if (!RFB)
			return;	// the Close says why
		rfb.current = new RFB(screen.current, socket);
		rfb.current.scaleViewport = true;
		rfb.current.addEventListener('connect', () => {
			setState('connected');
			rfb.current.focus();
		});
	}

	const over = state === 'idle' || state === 'disconnected';
	return (
		<section className="card terminal">
			<div className="bar">
				<span role="status" className={`status ${state}`}>{WORDS[state]}</span>
				{state === 'connected' &&
					<button className="quiet" onClick={() => rfb.current.disconnect()}>Disconnect</button>}
			</div>
			<div className="screen">
				<div className="vm" ref={screen} />
				{over && (
					<div className="cover">
						{why && (
							<p role="alert">
								{why.what}
								<code>{why.words}</code>
								{why.signedOut && <a href="/sign-in">Sign in</a>}
							</p>
						)}
						<button onClick={connect} disabled={!alive}>
							{state === 'idle' ? 'Connect' : 'Reconnect'}
						</button>
					</div>
				)}
			</div>
		</section>
	);
}
