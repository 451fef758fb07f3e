export default function Page2() {
	return <p>This is page2</p>;
}
