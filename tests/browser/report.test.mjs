// The page of `novnc-gatectl report`, as build/test_ctl_report_page writes it for entries of its own: without scripts,
// in light and dark, wide and narrow.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { BUILD } from '../demo/world.mjs';
import { artifactsOf, launch } from './browser.mjs';

const PAGES = ['none', 'one', 'second', 'many'];
const CHARTS = ['Sessions open at the same time', 'Sessions begun', 'Durations', 'Bytes of each session'];
const artifacts = artifactsOf('report');
let browser;

before(async () => {
	execFileSync(join(BUILD, 'test_ctl_report_page'), { env: { ...process.env, REPORT_PAGES: artifacts } });
	browser = await launch();
});
after(() => browser?.close());

// Opens a page; returns it with what went wrong, and with its requests.
async function opened(name, { scheme = 'light', width = 1280 } = {}) {
	const context = await browser.newContext({
		colorScheme: scheme, javaScriptEnabled: false, viewport: { width, height: 900 },
	});
	const page = await context.newPage();
	const wrong = [], requests = [];

	page.on('console', (message) => wrong.push(message.text()));
	page.on('pageerror', (error) => wrong.push(String(error)));
	page.on('dialog', (dialog) => wrong.push(dialog.message()));
	page.on('request', (request) => requests.push(request.url()));
	await page.goto(pathToFileURL(join(artifacts, `${name}.html`)).href);
	return { page, wrong, requests };
}

// The WCAG contrast of the text in the first element that matches, to the page.
function contrast(page, selector) {
	return page.locator(selector).first().evaluate((element) => {
		function luminance(colour) {
			const [r, g, b] = colour.match(/[\d.]+/g).map((value) => value / 255).map((value) =>
				value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
			return 0.2126 * r + 0.7152 * g + 0.0722 * b;
		}
		const style = getComputedStyle(element);
		const [dark, light] = [
			luminance(element.ownerSVGElement ? style.fill : style.color),
			luminance(getComputedStyle(document.body).backgroundColor),
		].sort((a, b) => a - b);

		return (light + 0.05) / (dark + 0.05);
	});
}

// Texts of charts that overlap another one or the edge.
function clashes(page) {
	return page.locator('svg.chart').evaluateAll((charts) => charts.flatMap((chart) => {
		const { width, height } = chart.viewBox.baseVal;
		const texts = [...chart.querySelectorAll('text')].map((text) => ({ is: text.textContent, box: text.getBBox() }));
		const apart = (a, b) => a.x + a.width <= b.x || b.x + b.width <= a.x ||
			a.y + a.height <= b.y || b.y + b.height <= a.y;
		const inside = ({ box }) => box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= height;

		return texts.filter((text) => !inside(text) || texts.some((other) => other !== text && !apart(text.box, other.box)))
			.map(({ is }) => is);
	}));
}

for (const name of PAGES)
	for (const scheme of ['light', 'dark'])
		for (const width of [1280, 390])
			test(`the page "${name}" is fine, ${scheme}, ${width} pixels wide`, async () => {
				const { page, wrong, requests } = await opened(name, { scheme, width });

				assert.equal(requests.length, 1);
				assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
				assert.deepEqual(await clashes(page), []);
				for (const selector of ['h1', 'h1 + p', ...name === 'none' ? [] :
					['dt', 'dd', '.chart text', 'th', 'td', 'summary']])
					assert.ok(await contrast(page, selector) >= 4.5, `${selector}: ${await contrast(page, selector)}`);
				if (name !== 'none')	// WCAG 1.4.11
					for (const selector of ['rect.up', 'rect.down'].filter((s) => name === 'many' || s !== 'rect.down'))
						assert.ok(await contrast(page, selector) >= 3, selector);
				assert.deepEqual(wrong, []);
				await page.screenshot({ path: join(artifacts, `${name}-${scheme}-${width}.png`), fullPage: true });
				await page.context().close();
			});

test('light and dark differ', async () => {
	const background = async (scheme) => {
		const { page } = await opened('one', { scheme });
		return page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	};

	assert.equal(await background('light'), 'rgb(255, 255, 255)');
	assert.notEqual(await background('dark'), 'rgb(255, 255, 255)');
});

test('each chart has a name, a description and a table with the same numbers', async () => {
	const { page } = await opened('one');

	for (const name of CHARTS) {
		const chart = page.getByRole('img', { name });
		const figure = page.getByRole('figure').filter({ hasText: name });

		assert.equal(await chart.count(), 1);
		assert.match(await chart.locator('desc').textContent(), /^The .*\.$/);
		assert.ok(await figure.getByRole('table', { name }).isHidden());
		await figure.getByText('Table', { exact: true }).click();
		assert.ok(await figure.getByRole('table', { name }).isVisible());
	}
	assert.deepEqual(await page.getByRole('table', { name: 'Durations' }).getByRole('row')
		.filter({ hasText: '30min to 1h' }).getByRole('cell').allTextContents(), ['30min to 1h', '1']);
});

test('names of peers are text, and the browser would not run them', async () => {
	const { page } = await opened('many');

	assert.equal(await page.getByRole('cell', { name: '<script>alert(1)</script>', exact: true }).count(), 2);
	assert.equal(await page.locator('script').count(), 0);
	const context = await browser.newContext();	// with scripts
	const other = await context.newPage();
	const said = [];

	other.on('console', (message) => said.push(message.text()));
	await other.goto(page.url());
	await other.evaluate(() => {
		const script = document.createElement('script');
		script.textContent = 'window.ran = true';
		document.body.append(script);
	});
	assert.equal(await other.evaluate(() => window.ran), undefined);
	assert.match(said.join(), /Content Security Policy/);
});

test('the page without entries says so', async () => {
	const { page } = await opened('none');

	await page.getByText('The journal has no entries of novnc-gate from this time.').waitFor();
	assert.equal(await page.locator('svg').count(), 0);
});
