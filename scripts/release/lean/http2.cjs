'use strict';
// No program speaks HTTP/2, and Node takes 30 ms to load it.
module.exports.constants = {};
