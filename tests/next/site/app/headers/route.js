// The fields of the request as Next.js shows them.
export function GET(request) {
	return Response.json({ url: request.url, ...Object.fromEntries(request.headers) });
}
