/* SPDX-License-Identifier: MIT */
#include "http/chunk.h"

#include "http/fields.h"

int chunk_begin(size_t len, struct buf *out)
{
	int r = buf_put_number(out, len, 16);

	return r == 0 ? buf_put_slice(out, SLICE("\r\n")) : r;
}

int chunk_end(struct buf *out)
{
	return buf_put_slice(out, SLICE("\r\n"));
}

int chunk_last(struct slice trailers, struct buf *out)
{
	const unsigned no_trailer =
		FIELDS_HOP_BY_HOP | FIELDS_RESERVED | FIELDS_HEAD_ONLY;
	struct field f;
	int r = buf_put_slice(out, SLICE("0\r\n"));

	while (r == 0 && trailers.len > 0 && lines_field(&trailers, &f) > 0)
		if (!(fields_rules(f.name) & no_trailer))
			r = BUF_PUT(out, f.name, SLICE(": "), f.value, SLICE("\r\n"));
	return r == 0 ? buf_put_slice(out, SLICE("\r\n")) : r;
}
