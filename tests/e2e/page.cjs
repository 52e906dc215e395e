// A person in front of the page: opens every page in Chromium, takes pictures, has axe-core judge it, and uses its forms
// without JavaScript.
//
//   node page.cjs PLAN.json
//
// The plan and the answer (OUT/answer.json, pictures beside it) are described in tests/support/page_browser.py, which is
// the only caller. Nothing is decided here, and nothing waits for a time: only for what must be there.
'use strict';
const fs = require('fs');
const path = require('path');

const plan = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const { chromium } = require(plan.playwright);
const axe = fs.readFileSync(path.join(plan.axe, 'axe.min.js'), 'utf8');

const SHOWN_MS = 240000; // the longest wait for anything, on a very busy machine

async function main() {
  const browser = await chromium.launch({ executablePath: plan.chromium, args: ['--no-sandbox'] });
  const answer = { seen: [], steps: [] };
  try {
    for (const theme of plan.themes) {
      for (const script of plan.scripts) {
        const person = await logIn(browser, theme, script);
        for (const view of plan.views) {
          for (const one of plan.pages) {
            answer.seen.push(await look(person, one, view, theme, script));
          }
        }
        await person.context().close();
      }
    }
    if (plan.steps.length) {
      answer.steps = await walk(browser);
    }
    if (plan.watch) {
      answer.watched = await watch(browser);
    }
  } finally {
    await browser.close();
  }
  fs.writeFileSync(path.join(plan.out, 'answer.json'), JSON.stringify(answer, null, 1));
}

async function logIn(browser, theme, script) {
  const context = await browser.newContext({
    baseURL: plan.url,
    javaScriptEnabled: script,
    colorScheme: theme,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(SHOWN_MS);
  page.complaints = [];
  page.on('console', message => message.type() === 'error' && page.complaints.push(message.text()));
  page.on('pageerror', error => page.complaints.push(String(error)));
  page.on('request', request => {
    if (new URL(request.url()).origin !== plan.url) {
      page.complaints.push(`asked another machine: ${request.url()}`);
    }
  });
  await page.goto('/login');
  await page.fill('input[name="name"]', plan.account);
  await page.fill('input[name="password"]', plan.password);
  await Promise.all([page.waitForURL(plan.url + '/'), page.click('main button')]);
  return page;
}

async function look(page, one, view, theme, script) {
  page.complaints.length = 0;
  await page.setViewportSize({ width: view.width, height: view.height });
  const answer = await page.goto(one.path, { waitUntil: 'load' });
  // Without JavaScript no promise of the page is kept; then images are never loaded late.
  if (script) await page.evaluate(allImages);
  const name = `${one.name}-${view.name}-${theme}${script ? '' : '-plain'}`;
  if (plan.photograph) {
    await page.screenshot({ path: path.join(plan.out, `${name}.png`), fullPage: one.whole !== false });
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  const heading = await page.evaluate(() => document.querySelector('h1')?.innerText ?? '');
  return {
    name, page: one.name, status: answer.status(), wide, heading,
    owned: await page.evaluate(() => window.owned ?? null),
    complaints: [...page.complaints],
    violations: script && view.judged ? await violations(page) : [],
  };
}

// Those that are not in the window too, which are loaded late.
async function allImages() {
  await Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode().catch(() => null); }));
}

async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return found.violations.map(one => `${one.id}: ${one.help}: ${one.nodes.map(node => node.html.slice(0, 160)).join(' | ')}`);
}

// Steps of a person without JavaScript: go somewhere, fill in, open what is folded, press a button; what the page says.
async function walk(browser) {
  const page = await logIn(browser, 'light', false);
  const said = [];
  for (const step of plan.steps) {
    if (step.go) await page.goto(step.go);
    if (step.unfold) await page.locator('summary', { hasText: step.unfold }).click();
    for (const [name, value] of Object.entries(step.fill ?? {})) await page.locator(`[name="${name}"]:visible`).first().fill(value);
    if (step.file) await page.locator('input[type="file"]').setInputFiles(step.file);
    if (step.press) {
      await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: step.press, exact: true }).click()]);
    }
    said.push(await page.locator('main').innerText());
  }
  await page.context().close();
  return said;
}

// A person who only looks: what the page says once a change on the node has come to it by itself.
async function watch(browser) {
  const page = await logIn(browser, 'light', true);
  await page.goto(plan.watch.path);
  fs.writeFileSync(path.join(plan.out, 'watching'), '');
  await page.locator('main', { hasText: plan.watch.words }).waitFor();
  const said = await page.locator('main').innerText();
  await page.context().close();
  return said;
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
