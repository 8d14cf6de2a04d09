// SPDX-License-Identifier: Apache-2.0
// Lists /conf.json and filters it while one types.
'use strict';

let keys = [];

function draw() {
  const word = document.getElementById('filter').value.toLowerCase();
  const onlyChanged = document.getElementById('changed').checked;
  const wanted = keys.filter(k => (k.key + ' ' + k.help).toLowerCase().includes(word) &&
    !(onlyChanged && k.where.startsWith('default')));
  document.getElementById('rows').replaceChildren(...wanted.map(k => {
    const tr = document.createElement('tr');
    for (const text of [k.key, k.value, k.where, k.help]) {
      const td = document.createElement('td');
      td.textContent = text;
      tr.append(td);
    }
    return tr;
  }));
}

document.getElementById('filter').oninput = draw;
document.getElementById('changed').onchange = draw;
fetch('/conf.json').then(r => r.json()).then(list => { keys = list; draw(); });
