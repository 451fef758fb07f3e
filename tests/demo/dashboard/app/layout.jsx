import './globals.css';

export const metadata = { title: 'Remote CLI' };

export default function Layout({ children }) {
	return (
		<html lang="en">
			<body>
				<header className="top">
					<span className="brand">Dashboard</span>
					<span className="crumb">Remote CLI</span>
				</header>
				<main>{children}</main>
			</body>
		</html>
	);
}
