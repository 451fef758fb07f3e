import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export default {
	// node_modules lies one level up. Next.js 14 does not know this key, and says so.
	turbopack: { root: dirname(dirname(fileURLToPath(import.meta.url))) },
	redirects: async () => [{ source: '/by-config', destination: '/page2', permanent: true }],
};
