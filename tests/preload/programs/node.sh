# node.sh - node: buffers outside the JavaScript heap, worker threads, zlib and crypto in the thread pool, streams, children.
. "$PRELOAD_DIR/lib.sh"

cat >buffers.js <<'END'
const crypto = require('crypto'), zlib = require('zlib');
let h = crypto.createHash('sha256'), kept = [];
for (let i = 0; i < 4000; i++) {
    const b = Buffer.alloc(i * 37 % 70000 + 1, i & 255);
    h.update(b);
    if (i % 10 === 0) kept.push(b);
    if (kept.length > 60) kept.splice(0, 30);
}
console.log(h.digest('hex'), kept.length);
const text = Buffer.from(Array.from({ length: 40000 }, (_, i) => 'line ' + (i * 7919 % 10007)).join('\n'));
for (const level of [1, 6, 9]) console.log(level, zlib.deflateSync(text, { level }).length, zlib.gunzipSync(zlib.gzipSync(text)).equals(text));
console.log(zlib.brotliDecompressSync(zlib.brotliCompressSync(text)).equals(text));
END
cat >workers.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
if (isMainThread) {
    let sum = 0, left = 8;
    for (let i = 0; i < 8; i++) {
        const w = new Worker(__filename, { workerData: i });
        w.on('message', m => { sum += m.n + m.a.length; });
        w.on('exit', code => { if (code) console.log('exit', code); if (--left === 0) console.log('sum', sum); });
    }
} else {
    const m = new Map();
    let x = workerData + 1;
    for (let i = 0; i < 60000; i++) { x = (Math.imul(x, 69069) + 1) >>> 0; m.set('k' + x % 5003, { v: x, t: 'text'.repeat(x % 9) }); }
    let n = 0;
    for (const v of m.values()) n += v.v % 1000 + v.t.length;
    parentPort.postMessage({ n, a: new Uint8Array(100000) });
}
END
cat >pool.js <<'END'
const crypto = require('crypto'), fs = require('fs'), zlib = require('zlib'), { promisify } = require('util'), { pipeline } = require('stream/promises');
(async () => {
    const keys = await Promise.all(Array.from({ length: 12 }, (_, i) => promisify(crypto.pbkdf2)('secret' + i, 'salt', 2000, 64, 'sha512')));
    console.log(keys.map(k => k.toString('hex').slice(0, 12)).join(' '));
    fs.writeFileSync('in', Buffer.alloc(3e6, 'abcdefghijk\n'));
    await pipeline(fs.createReadStream('in'), zlib.createGzip(), zlib.createGunzip(), fs.createWriteStream('out'));
    console.log(fs.readFileSync('in').equals(fs.readFileSync('out')));
    const outs = await Promise.all(Array.from({ length: 40 }, (_, i) => fs.promises.writeFile('f' + i, 'x'.repeat(i * 1000)).then(() => fs.promises.readFile('f' + i))));
    console.log(outs.reduce((s, b) => s + b.length, 0));
    const { execFileSync } = require('child_process');
    console.log(execFileSync('sort', ['-r'], { input: Array.from({ length: 2000 }, (_, i) => 'n' + i).join('\n') }).toString().length);
    const net = require('net');
    const server = net.createServer(s => s.pipe(s)).listen('./socket', () => {
        let got = 0;
        const c = net.connect('./socket', () => { for (let i = 0; i < 50; i++) c.write(Buffer.alloc(20000, i)); });
        c.on('data', d => { got += d.length; if (got === 1e6) { console.log('echoed', got); c.end(); server.close(); } });
    });
})();
END
cat >script.js <<'END'
const words = Array.from({ length: 100000 }, (_, i) => 'w' + (i * 7919 % 10007));
const count = {};
for (const w of words) count[w] = (count[w] || 0) + 1;
console.log(Object.keys(count).length, JSON.stringify(count).length);
const parsed = JSON.parse(JSON.stringify(words.map((w, i) => ({ w, i, r: [w, w] }))));
console.log(parsed.length, words.join(' ').replace(/w(\d)(\d*)/g, '$2w$1').length, (3n ** 20000n).toString().length);
for (let i = 0; i < 30; i++) new Function('a', 'return a + ' + i + ';' + 'a;'.repeat(1000))(1);
console.log(parsed.sort((a, b) => a.w < b.w ? -1 : a.w > b.w ? 1 : a.i - b.i)[500].w);
END

for name in buffers workers pool script; do
    step "$name" node "$name.js"
done
step_fails 1 "an exception ends it" sh -c 'echo start; node -e "process.on(\"exit\", c => console.log(c)); throw 1" 2>/dev/null'
