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
  text: t => String(t), http: t => String(t), job: t => String(t),
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

// What a reader has marked to copy stays marked while nothing of it changes.
const drawn = new WeakMap(); // element -> what it shows, as JSON
function redraw(el, what, draw) {
  const key = JSON.stringify(what);
  if (drawn.get(el) === key) return;
  el.replaceChildren(...draw());
  drawn.set(el, key);
}

function drawValues(values) {
  redraw(document.getElementById('values'), values, () => Object.entries(values).map(([name, v]) => {
    const text = shown(v.value, v.unit), box = make('div'), dd = make('dd', undefined, text.length > 15 ? 'long' : '');
    if (/^[#/]/.test(v.link)) dd.append(linked(text, v.link));
    else dd.textContent = text;
    box.append(make('dt', name), dd);
    return box;
  }));
}

// Words that call for somebody, or that are over and done with.
const tone = new Map([['failed', 'bad'], ['dead', 'bad'], ['lost', 'bad'], ['killed', 'warn'],
  ['stale', 'warn'], ['succeeded', 'good']]);

function cell(value, {name, unit}) {
  const text = shown(value, unit);
  const td = make('td', undefined, isNumber(unit) ? 'num' : text.length > 40 ? 'long' : name === 'state' && tone.get(text));
  if (unit === 'http' && /^[\w.:[\]-]+$/.test(text)) td.append(linked(text, 'http://' + text + '/'));
  else if (unit === 'job') td.append(linked(text, '/job?id=' + encodeURIComponent(text)));
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

function drawHead(id, columns) {
  const head = make('tr');
  columns.forEach((c, i) => {
    const by = sortBy[id], isBy = by && by.column === i;
    const th = make('th', undefined, isNumber(c.unit) ? 'num' : '');
    const button = make('button', c.name + (isBy ? (by.down ? ' ↓' : ' ↑') : ''));
    th.ariaSort = !isBy ? 'none' : by.down ? 'descending' : 'ascending';
    button.title = 'sort by ' + c.name;
    button.onclick = () => {
      sortBy[id] = {column: i, down: isBy ? !by.down : isNumber(c.unit)};
      refresh();
    };
    th.append(button);
    head.append(th);
  });
  return head;
}

function drawTable(id, t) {
  const scroll = make('div', undefined, 'scroll'), table = make('table');
  const h2 = make('h2', t.title + ' ');
  h2.append(make('span', String(t.rows.length), 'count'));
  const thead = make('thead'), body = make('tbody');
  thead.append(drawHead(id, t.columns));
  for (const row of sorted(id, t.rows)) {
    const tr = make('tr');
    tr.append(...row.map((v, i) => cell(v, t.columns[i])));
    body.append(tr);
  }
  table.append(thead, body);
  if (!t.rows.length) {
    const none = make('td', 'none', 'none');
    none.colSpan = t.columns.length;
    body.append(make('tr'));
    body.firstChild.append(none);
  }
  scroll.append(table);
  return [h2, scroll];
}

// One section a table, kept while the table is there: a reader may be half way along a wide one.
function drawTables(tables) {
  const all = document.getElementById('tables');
  const sections = Object.entries(tables).map(([id, t]) => {
    const section = [...all.children].find(el => el.id === id) || make('section');
    const scroll = section.querySelector('.scroll'), at = scroll ? scroll.scrollLeft : 0;
    section.id = id;
    redraw(section, [t, sortBy[id]], () => drawTable(id, t));
    return [section, at];
  });
  if (sections.length !== all.children.length || sections.some(([s], i) => all.children[i] !== s))
    all.replaceChildren(...sections.map(([s]) => s));
  for (const [section, at] of sections) section.querySelector('.scroll').scrollLeft = at;
}

function draw(s) {
  document.title = s.daemon + ' ' + s.node;
  document.getElementById('daemon').textContent = s.daemon;
  document.getElementById('node').textContent = s.node;
  const state = document.getElementById('state');
  state.textContent = s.state;
  state.className = 'state ' + (s.state === 'serving' ? 'serving' : '');
  redraw(document.getElementById('notes'), s.notes, () => s.notes.map(n => make('p', n.text, 'note ' + n.level)));
  drawValues(s.values);
  drawTables(s.tables);
  document.getElementById('foot').textContent = 'quern ' + s.version + ' · process ' + s.pid +
    ' · up ' + duration(s.uptime_ms) + ' · ' + bytes(s.resident_bytes) + ' in memory · build ' + s.build_id.slice(0, 12);
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
