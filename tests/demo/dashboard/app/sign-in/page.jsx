import { signIn } from '../actions';

export const metadata = { title: 'Sign in' };

export default function SignIn() {
	return (
		<section className="card sign-in">
			<h1>Sign in</h1>
			<form action={signIn}>
				<label htmlFor="user">Name</label>
				<input id="user" name="user" defaultValue="demo" pattern="[\w.\-]{1,64}" required
					autoComplete="username" autoCapitalize="none" spellCheck="false" />
				<p>Any name will do: the demo has no passwords.</p>
				<button>Sign in</button>
			</form>
		</section>
	);
}
