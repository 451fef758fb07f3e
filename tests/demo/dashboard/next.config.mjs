import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

// node_modules lies one level up, beside every copy of this app.
export default {
	turbopack: { root: dirname(dirname(fileURLToPath(import.meta.url))) },
};
