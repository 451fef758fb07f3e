import { NextResponse } from 'next/server';

// Next.js adds a Refresh to 308.
export default function middleware(request) {
	return NextResponse.redirect(new URL('/page2', request.url),
		request.nextUrl.pathname.endsWith('/308') ? 308 : 307);
}

export const config = { matcher: '/by-middleware/:path*' };
