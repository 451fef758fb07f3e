import { cookies, headers } from 'next/headers';
import { findUser, mayOpen } from '../../../sessions';

// For novnc-gate: may the user who has this cookie open this terminal, and who is it?
export async function GET() {
	const user = await findUser((await cookies()).get('session')?.value);
	const terminal = (await headers()).get('X-Novnc-Session');

	if (!user)
		return new Response('Sign in to open this terminal.\n', { status: 401 });
	if (!mayOpen(user, terminal))
		return new Response('You may not open this terminal.\n', { status: 403 });
	return new Response(null, { status: 204, headers: { 'X-Novnc-User': user } });
}
