import { createHash, randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';

// The sessions of users who have signed in, each a file with the user's name: they survive a restart of
// Next.js. A file is named by the hash of the cookie, so that nobody can sign in with its name.
function fileOf(token) {
	return `${process.env.SESSIONS}/${createHash('sha256').update(token).digest('hex')}`;
}

export async function startSession(user) {
	const token = randomBytes(24).toString('base64url');

	await writeFile(fileOf(token), user, { mode: 0o600 });
	return token;
}

// The user of the session, or null if there is none.
export async function findUser(token = '') {
	return readFile(fileOf(token), 'utf8').catch(() => null);
}

export async function endSession(token = '') {
	await rm(fileOf(token), { force: true });
}

// In the demo, everybody may open its only terminal.
export function mayOpen(user, terminal) {
	return terminal === process.env.VM_SESSION;
}
