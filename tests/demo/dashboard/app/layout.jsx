import { cookies } from 'next/headers';
import { signOut } from './actions';
import { findUser } from './sessions';
import './globals.css';

export const metadata = { title: 'Remote CLI' };

export default async function Layout({ children }) {
	const user = await findUser((await cookies()).get('session')?.value);

	return (
		<html lang="en">
			<body>
				<header className="top">
					<span className="brand">Dashboard</span>
					<span className="crumb">Remote CLI</span>
					{user && (
						<form action={signOut} className="user">
							<span>{user}</span>
							<button className="quiet">Sign out</button>
						</form>
					)}
				</header>
				<main>{children}</main>
			</body>
		</html>
	);
}
