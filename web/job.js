// SPDX-License-Identifier: Apache-2.0
// Draws /job.json?id=N: one job, its time, its attempts, its keys. Text from the daemon only ever
// becomes text (textContent), never markup.
'use strict';

const EVERY_MS = 2000, LINES_MAX = 200;
const id = new URLSearchParams(location.search).get('id') || '';
// In the order in which an attempt comes to them.
const phases = ['queue', 'launch', 'read', 'decompress', 'map', 'combine', 'sort', 'spill', 'fetch', 'merge',
  'reduce', 'write', 'commit'];
const states = ['waiting', 'running', 'committing', 'succeeded', 'failed', 'killed'];

function make(tag, text, className) {
  const el = document.createElement(tag);
  if (text !== undefined) el.textContent = text;
  if (className) el.className = className;
  return el;
}

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let u = 0;
  while (n >= 1024 && u < units.length - 1) { n /= 1024; u++; }
  return (u && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + units[u];
}

const count = n => n.toLocaleString('en');

function duration(ms) {
  if (ms < 1000) return Math.round(ms) + ' ms';
  const s = ms / 1000;
  return s < 60 ? s.toFixed(s < 10 ? 1 : 0) + ' s' : Math.floor(s / 60) + ' min ' + Math.floor(s % 60) + ' s';
}

// Bytes come as hex digits.
function keyText(hex) {
  const raw = new Uint8Array((hex.match(/../g) || []).map(d => parseInt(d, 16)));
  const text = new TextDecoder().decode(raw).replace(/[\x00-\x1f\x7f\ufffd]/g, '·');
  return '"' + (text.length > 40 ? text.slice(0, 40) + '…' : text) + '"';
}

// --- values -----------------------------------------------------------------------------------

function drawValues(s) {
  const values = [['state', states[s.state]], ['user', s.user], ['took', duration(s.elapsed_ms)],
    ['input', bytes(s.bytes) + ' in ' + count(s.files) + (s.files === 1 ? ' file' : ' files')],
    ['output', s.out_files ? bytes(s.out_bytes) + ' in ' + count(s.out_files) + (s.out_files === 1 ? ' file' : ' files') : '–'],
    ['to', s.out]];
  document.getElementById('values').replaceChildren(...values.map(([name, text]) => {
    const box = make('div');
    box.append(make('dt', name), make('dd', text, text.length > 15 ? 'long' : ''));
    return box;
  }));
}

function drawNotes(s) {
  const notes = s.findings.map(f => {
    const p = make('p', '', 'note warn');
    p.append(make('strong', f.code), ' ' + f.says + (f.cost_ms ? ', about ' + duration(f.cost_ms) : '') + '. To do: ' + f.fix);
    return p;
  });
  if (s.why) notes.unshift(make('p', s.why + (s.failure.id.job ? failedWhere(s) : ''), 'note error'));
  if (s.waits_for) notes.unshift(make('p', 'waits: ' + s.waits_for, 'note'));
  document.getElementById('notes').replaceChildren(...notes);
}

// Where, and with which words: of the task whose failure ended the job.
function failedWhere(s) {
  const f = s.failure, stage = s.stages[f.id.stage];
  return (s.failed_on.length ? ', on ' + [...s.failed_on].reverse().join(', ') : '') + ': ' + f.why +
    (f.path ? ' (record at ' + f.path + ' offset ' + f.offset + ')' : '') +
    (stage && stage.name !== 'commit' ? '. Again: quern job -replay ' + s.id.job + ' -task ' + taskName(stage.name, f.id.task) : '');
}

// As -task and the attempts' names have it: m12, r3; s0 of the second stage that reduces.
function taskName(stage, task) {
  const reduces = /^reduce (\d)$/.exec(stage);
  return (reduces ? String.fromCharCode('q'.charCodeAt(0) + Number(reduces[1])) : stage[0]) + task;
}

// --- time -------------------------------------------------------------------------------------

function bar(times, className) {
  const all = phases.slice(1).reduce((sum, p) => sum + times[p], 0);
  const el = make('div', undefined, className);
  for (const p of phases.slice(1)) {
    if (!times[p] || times[p] * 500 < all) continue;
    const part = make('span', times[p] * 12 >= all ? p + ' ' + Math.round(times[p] * 100 / all) + ' %' : '', 'phase ' + p);
    part.style.flexGrow = times[p] / all;
    part.title = p + ' ' + duration(times[p] / 1000) + ', ' + (times[p] * 100 / all).toFixed(1) + ' %';
    el.append(part);
  }
  return el;
}

function drawTimes(stages) {
  const told = stages.filter(s => phases.some(p => s.times[p]));
  document.getElementById('times').parentElement.hidden = !told.length;
  document.getElementById('times').replaceChildren(...told.map(s => {
    const row = make('div', undefined, 'timerow');
    row.append(make('span', s.name, 'what'), bar(s.times, 'split'));
    return row;
  }));
}

// --- timeline ---------------------------------------------------------------------------------

function line(a, all) {
  const row = make('div', undefined, 'timerow');
  const track = make('div', undefined, 'track');
  const end = a.end_ms || all, queue = a.times.queue / 1000;
  if (queue > all / 500) {
    const wait = make('span', '', 'waiting');
    wait.style.left = Math.max(0, a.start_ms - queue) * 100 / all + '%';
    wait.style.width = Math.min(queue, a.start_ms) * 100 / all + '%';
    wait.title = 'waited ' + duration(queue) + ' for a core';
    track.append(wait);
  }
  const body = phases.some(p => p !== 'queue' && a.times[p]) ? bar(a.times, 'split') : make('div', undefined, 'split plain');
  body.classList.add(a.state);
  body.style.left = a.start_ms * 100 / all + '%';
  body.style.width = Math.max(0.3, (end - a.start_ms) * 100 / all) + '%';
  for (const part of body.children) part.textContent = '';
  track.append(body);
  row.append(make('span', taskName(a.stage, a.task) + (a.attempt ? '_' + a.attempt : '') + ' ' + a.worker, 'what'), track,
    make('span', duration(end - a.start_ms) + (a.state === 'done' ? '' : ' ' + a.state), 'took'));
  row.title = a.why || '';
  return row;
}

function drawTimeline(rows, all) {
  const shown = rows.length > LINES_MAX ? [...rows].sort((a, b) => (b.end_ms - b.start_ms) - (a.end_ms - a.start_ms))
    .slice(0, LINES_MAX).sort((a, b) => a.start_ms - b.start_ms) : rows;
  const el = document.getElementById('timeline');
  el.parentElement.hidden = !rows.length;
  el.replaceChildren(...shown.map(a => line(a, all)));
  if (shown.length < rows.length) el.append(make('p', 'the ' + LINES_MAX + ' longest of ' + count(rows.length) + ' attempts', 'none'));
  document.getElementById('legend').replaceChildren(...phases.slice(1).filter(p => rows.some(a => a.times[p])).map(p => {
    const span = make('span', p);
    span.prepend(make('i', '', 'phase ' + p));
    return span;
  }));
}

// --- tables -----------------------------------------------------------------------------------

function table(where, title, heads, rows) {
  const el = document.getElementById(where);
  if (!rows.length) return el.replaceChildren();
  const scroll = make('div', undefined, 'scroll'), t = make('table'), head = make('tr'), body = make('tbody'), thead = make('thead');
  const h2 = make('h2', title + ' ');
  h2.append(make('span', String(rows.length), 'count'));
  head.append(...heads.map(h => make('th', h.replace('#', ''), h.endsWith('#') ? 'num' : '')));
  thead.append(head);
  for (const row of rows) {
    const tr = make('tr');
    tr.append(...row.map((text, i) => make('td', text, heads[i].endsWith('#') ? 'num' : String(text).length > 40 ? 'long' : '')));
    body.append(tr);
  }
  t.append(thead, body);
  scroll.append(t);
  el.replaceChildren(h2, scroll);
}

function drawStages(stages) {
  table('stages', 'Stages', ['stage', 'tasks#', 'done#', 'running#', 'waiting#', 'failed#', 'killed#', 'speculative#', 'now'],
    stages.map(s => [s.name, count(s.tasks), count(s.done), count(s.running), count(s.waiting), count(s.failed_attempts),
      count(s.killed_attempts), count(s.speculative), s.phase]));
}

function drawArrows(stages) {
  const rows = [];
  for (const s of stages) {
    const a = s.account, all = a.local_bytes + a.rack_bytes + a.remote_bytes;
    const from = all ? Math.round(a.local_bytes * 100 / all) + ' % its node, ' + Math.round(a.rack_bytes * 100 / all) + ' % its rack' : '';
    if (s.name === 'map' && a.in_bytes) rows.push(['read', count(a.in_records), bytes(a.in_raw), bytes(a.in_bytes), from]);
    if (a.emitted_records) rows.push(['emitted', count(a.emitted_records), bytes(a.emitted_bytes), '', '']);
    if (a.run_bytes) rows.push(['to runs', count(a.combined_records), a.run_raw ? bytes(a.run_raw) : '', bytes(a.run_bytes), '']);
    if (a.spilled_bytes) rows.push(['spilled by ' + s.name, a.spilled_records ? count(a.spilled_records) : '', '', bytes(a.spilled_bytes), '']);
    if (s.name.startsWith('reduce') && a.in_bytes) rows.push(['shuffled', count(a.in_records) + ' of ' + count(a.groups) + ' keys', '', bytes(a.in_bytes), from]);
    if (a.out_bytes) rows.push(['written', count(a.out_records), bytes(a.out_raw), bytes(a.out_bytes), '']);
  }
  table('arrows', 'What moved', ['arrow', 'records#', 'raw#', 'stored or sent#', 'from'], rows);
}

function drawKeys(partitions) {
  table('keys', 'Keys by partition', ['partition#', 'records#', 'bytes#', 'different keys#', 'most often'],
    [...partitions].sort((a, b) => b.records - a.records).slice(0, 50).map(p => [p.partition, count(p.records), bytes(p.bytes),
      (p.is_least ? '≥ ' : '≈ ') + count(p.distinct),
      p.keys.filter(k => k.low > 0).slice(0, 3).map(k => keyText(k.key) + ' ' + ((k.low + k.high) * 50 / p.records).toFixed(1) +
        ' % (± ' + ((k.high - k.low) * 50 / p.records).toFixed(1) + ')').join(', ')]));
}

function drawAttempts(rows) {
  table('attempts', 'Attempts', ['attempt', 'state', 'node', 'time#', 'in#', 'records in#', 'memory#', 'major faults#', 'note'],
    rows.slice(0, LINES_MAX).map(a => [a.stage + ' ' + a.task + (a.attempt ? ' attempt ' + a.attempt : ''),
      a.state + (a.speculative ? ', a copy' : ''), a.worker, a.end_ms ? duration(a.end_ms - a.start_ms) : '', bytes(a.bytes_in),
      count(a.records_in), a.account.peak_memory ? bytes(a.account.peak_memory) : '', count(a.account.major_faults),
      a.why ? (a.exit ? a.exit + ': ' : '') + a.why : '']));
}

// --- life -------------------------------------------------------------------------------------

function draw(d) {
  const s = d.status;
  const rows = d.stages.flatMap(stage => stage.tasks.flatMap(t => t.attempts.map(a => Object.assign({stage: stage.stage, task: t.task}, a))));
  document.title = 'job ' + s.id.job + ' ' + s.name;
  document.getElementById('job').textContent = 'job ' + s.id.job;
  document.getElementById('node').textContent = s.name;
  const state = document.getElementById('state');
  state.textContent = states[s.state];
  state.className = 'state ' + (states[s.state] === 'succeeded' ? 'serving' : s.state > 3 ? 'gone' : '');
  drawNotes(s);
  drawValues(s);
  drawStages(s.stages);
  drawTimes(s.stages);
  drawTimeline(rows, Math.max(1, s.elapsed_ms));
  drawArrows(s.stages);
  drawKeys(d.partitions);
  drawAttempts(rows);
  return s.state >= 3;
}

async function run() {
  let isOver = false;
  try {
    const answer = await fetch('/job.json?id=' + encodeURIComponent(id), {cache: 'no-store'});
    if (!answer.ok) throw new Error(await answer.text());
    isOver = draw(await answer.json());
  } catch (e) {
    document.getElementById('notes').replaceChildren(make('p', String(e.message || e), 'note error'));
  }
  if (!isOver) setTimeout(run, EVERY_MS);
}
document.getElementById('json').href = '/job.json?id=' + encodeURIComponent(id);
run();
