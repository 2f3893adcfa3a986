'use strict';
// Of undici what the product uses: its index would load fetch, web sockets and caches with every program.
const Dispatcher = require('undici/lib/dispatcher/dispatcher.js');

Object.assign(Dispatcher.prototype, require('undici/lib/api/index.js'));
module.exports.Pool = require('undici/lib/dispatcher/pool.js');
