// documents.js N - node: JSON, maps, buffers outside the JavaScript heap, compression, hashing; prints a checksum.
//
// V8 has a heap of its own; malloc serves its compiler, the buffers, zlib, OpenSSL and the event loop.
"use strict";
const crypto = require("crypto");
const zlib = require("zlib");

const count = Number(process.argv[2]);
const hash = crypto.createHash("sha256");
let state = 1;

function number(bound) { // minimal standard generator, Park and Miller 1988
    state = state * 16807 % 2147483647;
    return state % bound;
}

function makeDocument(size) {
    return Array.from({ length: size }, (_, i) => ({ id: i, name: "item " + number(1e6), values: [number(9), number(99)] }));
}

function churnBuffers(rounds) {
    const live = [];
    for (let i = 0; i < rounds; i++) {
        const buffer = Buffer.alloc(1024 + number(60000), i & 255);
        live.push(buffer.subarray(0, 64));
        if (live.length > 100)
            hash.update(live.shift());
    }
}

for (let round = 0; round < 5; round++) {
    const text = JSON.stringify(makeDocument(count));
    const packed = zlib.deflateSync(Buffer.from(text), { level: 1 });
    hash.update(zlib.inflateSync(packed));
    const index = new Map(JSON.parse(text).map((item) => [item.name, item]));
    hash.update([...index.keys()].sort().join(","));
    churnBuffers(count / 4);
}
console.log(hash.digest("hex"));
