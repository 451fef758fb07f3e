import { cookies } from 'next/headers';
import { redirect } from 'next/navigation';
import { findUser } from '../../sessions';
import Terminal from './terminal';

// What the master-controller knows of the VM; the demo says it in the environment.
export default async function RemoteCli() {
	if (!await findUser((await cookies()).get('session')?.value))
		redirect('/sign-in');
	const { VM_NAME, VM_SCREEN, VM_SESSION, VM_URL, CONTROLLER_URL } = process.env;
	const path = `/api/auth/session/${VM_SESSION}/novnc`;

	return (
		<>
			<h1>{VM_NAME}</h1>
			<div className="columns">
				<Terminal path={path} />
				<aside className="card">
					<h2>Virtual machine</h2>
					<dl>
						<dt>Name</dt><dd>{VM_NAME}</dd>
						<dt>Session</dt><dd><code>{VM_SESSION}</code></dd>
						<dt>Screen</dt><dd>{VM_SCREEN}</dd>
					</dl>
					<h2>How the terminal gets here</h2>
					<ol>
						<li>novnc-gate, at this page&rsquo;s own origin<code>{path}/websock</code></li>
						<li>master-controller<code>{CONTROLLER_URL}</code></li>
						<li>the VM<code>{VM_URL}</code></li>
					</ol>
				</aside>
			</div>
		</>
	);
}
