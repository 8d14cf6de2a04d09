// SPDX-License-Identifier: Apache-2.0
// Draws /status.json and keeps it fresh. Knows units, not daemons. Text from the daemon only ever
// becomes text (textContent), never markup.
'use strict';

const EVERY_MS = 2000;
const sortBy = {}; // table id -> {column, down}
let lastGood = 0;

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let u = 0;
  while (n >= 1024 && u < units.length - 1) { n /= 1024; u++; }
  return (u && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + units[u];
}

function duration(ms) {
  if (ms < 1000) return ms + ' ms';
  const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (d) return d + ' d ' + (h % 24) + ' h';
  if (h) return h + ' h ' + (m % 60) + ' min';
  if (m) return m + ' min ' + (s % 60) + ' s';
  return (ms / 1000).toFixed(ms < 10000 ? 1 : 0) + ' s';
}

const show = {
  count: n => n.toLocaleString('en'),
  bytes, ms: duration,
  percent: n => n + ' %',
  time: n => n ? new Date(n).toLocaleString() : '',
  text: t => String(t), http: t => String(t),
};
const isNumber = unit => ['count', 'bytes', 'ms', 'percent', 'time'].includes(unit);

function shown(value, unit) {
  return typeof value === 'number' && show[unit] ? show[unit](value) : String(value);
}

function make(tag, text, className) {
  const el = document.createElement(tag);
  if (text !== undefined) el.textContent = text;
  if (className) el.className = className;
  return el;
}

// Only places on a quern daemon: "#id", "/path", or an http address given as host:port.
function linked(text, href) {
  const a = make('a', text);
  a.href = href;
  return a;
}

function drawValues(values) {
  const list = document.getElementById('values');
  list.replaceChildren(...Object.entries(values).map(([name, v]) => {
    const box = make('div'), dd = make('dd'), text = shown(v.value, v.unit);
    if (/^[#/]/.test(v.link)) dd.append(linked(text, v.link));
    else dd.textContent = text;
    box.append(make('dt', name), dd);
    return box;
  }));
}

function cell(value, unit) {
  const td = make('td', undefined, isNumber(unit) ? 'num' : '');
  const text = shown(value, unit);
  if (unit === 'http' && /^[\w.:[\]-]+$/.test(text)) td.append(linked(text, 'http://' + text + '/'));
  else td.textContent = text;
  return td;
}

function sorted(id, rows) {
  const by = sortBy[id];
  if (!by) return rows;
  const order = (a, b) => typeof a === 'number' && typeof b === 'number' ? a - b
    : String(a).localeCompare(String(b), 'en', {numeric: true});
  return [...rows].sort((a, b) => (by.down ? -1 : 1) * order(a[by.column], b[by.column]));
}

function drawTable([id, t]) {
  const section = make('section'), scroll = make('div', undefined, 'scroll'), table = make('table');
  section.id = id;
  const h2 = make('h2', t.title + ' ');
  h2.append(make('span', String(t.rows.length), 'count'));
  const head = make('tr');
  t.columns.forEach((c, i) => {
    const by = sortBy[id], mark = by && by.column === i ? (by.down ? ' ↓' : ' ↑') : '';
    const th = make('th', c.name + mark, 'sortable' + (isNumber(c.unit) ? ' num' : ''));
    th.onclick = () => {
      sortBy[id] = {column: i, down: by && by.column === i ? !by.down : isNumber(c.unit)};
      refresh();
    };
    head.append(th);
  });
  const thead = make('thead'), body = make('tbody');
  thead.append(head);
  for (const row of sorted(id, t.rows)) {
    const tr = make('tr');
    tr.append(...row.map((v, i) => cell(v, t.columns[i].unit)));
    body.append(tr);
  }
  table.append(thead, body);
  scroll.append(table);
  section.append(h2, scroll);
  return section;
}

function draw(s) {
  document.title = s.daemon + ' ' + s.node;
  document.getElementById('daemon').textContent = s.daemon;
  document.getElementById('node').textContent = s.node;
  const state = document.getElementById('state');
  state.textContent = s.state;
  state.className = 'state ' + (s.state === 'serving' ? 'serving' : '');
  document.getElementById('notes').replaceChildren(...s.notes.map(n => make('p', n.text, 'note ' + n.level)));
  drawValues(s.values);
  // A reader may be half way along a wide table.
  const at = Object.fromEntries([...document.querySelectorAll('#tables section')]
    .map(el => [el.id, el.querySelector('.scroll').scrollLeft]));
  document.getElementById('tables').replaceChildren(...Object.entries(s.tables).map(drawTable));
  for (const el of document.querySelectorAll('#tables section'))
    el.querySelector('.scroll').scrollLeft = at[el.id] || 0;
  document.getElementById('foot').textContent = 'quern ' + s.version + ' · process ' + s.pid +
    ' · up ' + duration(s.uptime_ms) + ' · build ' + s.build_id.slice(0, 12);
}

function drawGone() {
  const state = document.getElementById('state');
  state.textContent = lastGood ? 'no answer for ' + duration(Date.now() - lastGood) : 'no answer';
  state.className = 'state gone';
}

async function refresh() {
  try {
    const answer = await fetch('/status.json', {cache: 'no-store'});
    if (!answer.ok) throw new Error(answer.status);
    draw(await answer.json());
    lastGood = Date.now();
  } catch (e) {
    drawGone();
  }
}

async function run() {
  if (!document.hidden) await refresh();
  setTimeout(run, EVERY_MS);
}
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
run();
