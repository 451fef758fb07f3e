// What Next.js shows of the request.
export function GET(request) {
	return Response.json({ url: request.url, ...Object.fromEntries(request.headers) });
}
