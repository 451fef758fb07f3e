'use server';

import { cookies, headers } from 'next/headers';
import { redirect } from 'next/navigation';
import { endSession, startSession } from './sessions';

export async function signIn(form) {
	const user = String(form.get('user'));

	if (!/^[\w.-]{1,64}$/.test(user))
		redirect('/sign-in');
	(await cookies()).set('session', await startSession(user), {
		httpOnly: true,
		sameSite: 'lax',
		secure: (await headers()).get('X-Forwarded-Proto') === 'https',
	});
	redirect('/dashboard/remote-cli');
}

export async function signOut() {
	const jar = await cookies();

	await endSession(jar.get('session')?.value);
	jar.delete('session');
	redirect('/sign-in');
}
