import { NextResponse } from 'next/server';

export function GET(request) {
	return NextResponse.redirect(new URL('/page2', request.url));
}
