'use client';

import { useEffect, useRef, useState } from 'react';

const WORDS = {
	idle: 'Not connected',
	connecting: 'Connecting…',
	connected: 'Connected',
	disconnecting: 'Disconnecting…',
	disconnected: 'Disconnected',
};

// What is wrong with the way to the terminal, and the words of whoever said so; null if nothing is.
async function fault(path) {
	try {
		const answer = await fetch(path, { cache: 'no-store' });
		if (answer.ok)
			return null;
		return {
			what: [502, 504].includes(answer.status) ? 'The master-controller does not answer.'
				: 'The master-controller has no terminal for this session.',
			words: `${answer.status}: ${await answer.text()}`,
		};
	} catch {
		return {
			what: `Nothing answers at ${window.location.origin}.`,
			words: 'Is "make demo" still running?',
		};
	}
}

// noVNC says in the class of its document's root how its connection is.
function stateOf(root) {
	const said = [...root.classList].map((name) => name.replace(/^noVNC_/, ''));
	return said.find((word) => word in WORDS) ?? 'disconnected';
}

export default function Terminal({ path }) {
	const frame = useRef(null);
	const [tries, setTries] = useState(0);	// each has a frame of its own
	const [state, setState] = useState('idle');
	const [why, setWhy] = useState(null);
	const [alive, setAlive] = useState(false);	// a click before that would be lost

	useEffect(() => setAlive(true), []);

	async function connect() {
		setState('connecting');
		const wrong = await fault(path);
		setWhy(wrong);
		if (wrong)
			setState('disconnected');
		else
			setTries(tries + 1);
	}

	async function ended() {
		setState('disconnected');
		setWhy(await fault(path));
	}

	function watch() {
		const root = frame.current.contentDocument.documentElement;
		let before = 'disconnected';

		function look() {
			const now = stateOf(root);
			if (now === before)
				return;
			before = now;
			if (now === 'disconnected')
				return ended();
			setState(now);
			setWhy(null);
			if (now === 'connected')
				frame.current.focus();
		}
		// It would lie over the terminal's first columns, and this page has a button of its own.
		root.querySelector('#noVNC_control_bar_anchor').style.display = 'none';
		new MutationObserver(look).observe(root, { attributeFilter: ['class'] });
		look();
	}

	function disconnect() {
		frame.current.contentDocument.getElementById('noVNC_disconnect_button').click();
	}

	const over = state === 'idle' || state === 'disconnected';
	return (
		<section className="card terminal">
			<div className="bar">
				<span role="status" className={`status ${state}`}>{WORDS[state]}</span>
				{state === 'connected' &&
					<button className="quiet" onClick={disconnect}>Disconnect</button>}
			</div>
			<div className="screen">
				{tries > 0 && <iframe key={tries} ref={frame} src={path} title="VM terminal"
					onLoad={watch} />}
				{over && (
					<div className="cover">
						{why && (
							<p role="alert">
								{why.what}
								<code>{why.words}</code>
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
