// A reader's hands and eyes in OHIF: opens studies in Chromium, shows the segmentation, takes pictures of slices.
//
//   node ohif.cjs PLAN.json
//
// The plan and the answer (OUT/answer.json, pictures beside it) are described in tests/support/ohif.py, which is the only
// caller. Nothing is decided here, and nothing waits for a time: only for what must be there.
'use strict';
const fs = require('fs');
const path = require('path');

const plan = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const { chromium } = require(plan.playwright);

const SHOWN_MS = 240000; // the longest wait for anything; a very busy machine has taken two minutes for a first image
const AGAIN_MS = 20000;
const LOOK_MS = 200; // without it, Playwright looks at every frame that is drawn, and so has every frame drawn
// Software rendering of WebGL: machines that run tests have no GPU.
const FLAGS = [
  '--no-sandbox',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
];

async function main() {
  const browser = await chromium.launch({ executablePath: plan.chromium, args: FLAGS });
  const answer = { browser: browser.version(), studies: {} };
  try {
    // One context: the viewer's scripts are fetched and compiled once for all studies.
    const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
    for (const study of plan.studies) {
      answer.studies[study.name] = await look(context, study);
    }
  } finally {
    await browser.close();
  }
  fs.writeFileSync(path.join(plan.out, 'answer.json'), JSON.stringify(answer, null, 1));
}

// One study, from its address to its pictures; of what went wrong, a picture too.
async function look(context, study) {
  const page = await newPage(context, study.url);
  try {
    return await lookAt(page, study);
  } catch (error) {
    await photograph(page, `${study.name}-failed.png`);
    throw new Error(`${study.name}: ${error.message}; the browser's console: ${page.complaints.join('; ') || 'nothing'}`);
  } finally {
    await page.close();
  }
}

async function lookAt(page, study) {
  const started = Date.now();
  await page.goto(`${study.url}/viewer?StudyInstanceUIDs=${study.uid}`);
  await page.waitForFunction(firstImageIsShown, null, { timeout: SHOWN_MS, polling: LOOK_MS });
  const seen = { first_image_seconds: (Date.now() - started) / 1000, thumbnails: await thumbnails(page), slices: [] };
  for (const series of study.open) {
    await open(page, series);
    await photograph(page, `${study.name}-${series.number}.png`);
    if (series.kind === 'SEG' && !seen.slices.length) {
      seen.slices = await eachSlice(page, study);
    }
  }
  seen.segments = await page.evaluate(segmentsShown);
  seen.notices = await page.evaluate(() => [...window.poppedUp.values()]);
  seen.complaints = page.complaints;
  return seen;
}

async function newPage(context, url) {
  const page = await context.newPage();
  page.setDefaultTimeout(SHOWN_MS);
  page.complaints = [];
  page.on('console', message => message.type() === 'error' && page.complaints.push(message.text()));
  page.on('pageerror', error => page.complaints.push(String(error)));
  page.on('response', answer => answer.status() >= 400 && page.complaints.push(`${answer.status()} ${answer.url()}`));
  page.on('request', request => {
    if (!/^(blob:|data:)/.test(request.url()) && new URL(request.url()).origin !== url) {
      page.complaints.push(`asked another machine: ${request.url()}`);
    }
  });
  // The banner "for investigational use only" stays until it is clicked away, and covers a part of the image.
  await page.addInitScript(() => sessionStorage.setItem('investigationalUseDialog', 'hidden'));
  await page.addInitScript(noteWhatPopsUp);
  return page;
}

// What the list of series shows, in its order.
function thumbnails(page) {
  return page
    .locator('[data-cy^="study-browser-thumbnail"]')
    .evaluateAll(all => all.map(one => ({ number: one.dataset.series, text: one.innerText.split('\n') })));
}

// A double click on a series, again where nothing came of it (on a busy machine OHIF now and then misses one), and what
// shows that it is there.
async function open(page, series) {
  const thumbnail = page.locator(`[data-cy^="study-browser-thumbnail"][data-series="${series.number}"]`);
  const deadline = Date.now() + SHOWN_MS;
  const before = await page.evaluate(() => window.services.segmentationService.getSegmentations().length);
  const isOpen = series.kind === 'SEG' ? segmentationIsShown : seriesIsShown;
  const expected = series.kind === 'SEG' ? before + 1 : series.number;
  for (;;) {
    await thumbnail.dblclick();
    try {
      return await page.waitForFunction(isOpen, expected, { timeout: AGAIN_MS, polling: LOOK_MS });
    } catch (error) {
      const isLoading = await page.getByText('Loading').count();
      if (isLoading) {
        return page.waitForFunction(isOpen, expected, { timeout: SHOWN_MS, polling: LOOK_MS });
      }
      if (Date.now() > deadline) {
        throw error;
      }
    }
  }
}

async function photograph(page, name) {
  await page.screenshot({ path: path.join(plan.out, name) });
}

// Every slice of the plan with the overlay, then without: two passes, so that it is switched once. Of the one in the
// middle a picture of the whole window too.
async function eachSlice(page, study) {
  const slices = [];
  for (const [index, slice] of study.slices.entries()) {
    const shown = await page.evaluate(showSlice, slice);
    slices.push({ points: shown.points, with: save(`${study.name}-${index}-with.png`, shown.picture) });
    if (index === Math.floor(study.slices.length / 2)) {
      await photograph(page, `${study.name}-overlay.png`);
    }
  }
  if (slices.length) {
    await page.evaluate(hideSegments);
  }
  for (const [index, slice] of study.slices.entries()) {
    const shown = await page.evaluate(showSlice, slice);
    slices[index].without = save(`${study.name}-${index}-without.png`, shown.picture);
  }
  return slices;
}

function save(name, dataUrl) {
  fs.writeFileSync(path.join(plan.out, name), Buffer.from(dataUrl.split(',')[1], 'base64'));
  return name;
}

// --- below: run in the page ---

// Dialogs and notices, from the moment that they are shown: a notice goes away by itself.
function noteWhatPopsUp() {
  window.poppedUp = new Map();
  new MutationObserver(() => {
    for (const one of document.querySelectorAll('[role="dialog"], [role="alertdialog"], [data-sonner-toast]')) {
      window.poppedUp.set(one, one.innerText);
    }
  }).observe(document, { childList: true, subtree: true });
}

function firstImageIsShown() {
  const viewport = window.cornerstone?.getEnabledElements?.()[0]?.viewport;
  return Boolean(viewport?.getCurrentImageId?.() && viewport.viewportStatus === 'rendered');
}

function segmentationIsShown(count) {
  const viewport = window.cornerstone.getEnabledElements()[0]?.viewport;
  const { segmentationService } = window.services;
  return (
    segmentationService.getSegmentations().length >= count &&
    segmentationService.getSegmentationRepresentations(viewport.id).length >= count &&
    viewport.getActors().length >= count + 1
  );
}

// The series with that number is in the viewport, and drawn where it is an image.
function seriesIsShown(number) {
  const { viewportGridService, displaySetService } = window.services;
  const { viewports, activeViewportId } = viewportGridService.getState();
  const shown = (viewports.get(activeViewportId)?.displaySetInstanceUIDs ?? []).map(uid => displaySetService.getDisplaySetByUID(uid));
  if (!shown.some(one => Number(one?.SeriesNumber) === number)) {
    return false;
  }
  const viewport = window.cornerstone.getEnabledElements()[0]?.viewport;
  return shown[0].Modality === 'SR' || viewport?.viewportStatus === 'rendered';
}

function segmentsShown() {
  const { segmentationService } = window.services;
  return segmentationService.getSegmentations().map(segmentation => ({
    label: segmentation.label,
    segments: Object.values(segmentation.segments).map(one => one.label),
  }));
}

function hideSegments() {
  const viewport = window.cornerstone.getEnabledElements()[0].viewport;
  const { segmentationService } = window.services;
  for (const segmentation of segmentationService.getSegmentations()) {
    for (const index of Object.keys(segmentation.segments)) {
      segmentationService.setSegmentVisibility(viewport.id, segmentation.segmentationId, Number(index), false);
    }
  }
}

// Go to the slice of an instance (and frame); where its points lie on the canvas, and what the canvas shows.
async function showSlice(slice) {
  const viewport = window.cornerstone.getEnabledElements()[0].viewport;
  const index = viewport.getImageIds().findIndex(id => id.includes(`/instances/${slice.sop}/frames/${slice.frame}`));
  if (index < 0) {
    throw new Error(`no image of instance ${slice.sop} frame ${slice.frame} among ${viewport.getImageIds().length}`);
  }
  await viewport.setImageIdIndex(index);
  const rendered = window.cornerstone.Enums.Events.IMAGE_RENDERED;
  const element = viewport.element;
  // Twice: labelmaps of a slice are made ready by the first rendering that wants them.
  for (let round = 0; round < 2; round += 1) {
    await new Promise(resolve => {
      element.addEventListener(rendered, resolve, { once: true });
      viewport.render();
    });
  }
  return {
    points: slice.points.map(point => Array.from(viewport.worldToCanvas(point))),
    picture: viewport.getCanvas().toDataURL('image/png'),
  };
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
