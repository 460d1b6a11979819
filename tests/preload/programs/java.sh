# java.sh - javac and java: the compiler and the virtual machine (whose own structures come from malloc), direct
# buffers, zip in native code, many threads, all garbage collectors of Debian's package that start everywhere.
. "$PRELOAD_DIR/lib.sh"

export JAVA_TOOL_OPTIONS='-Xmx256m -XX:-UsePerfData'
# The tools announce that variable on the error output: the same line in both runs.

cat >Work.java <<'END'
import java.nio.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import java.util.zip.*;

public class Work {
    record Item(int id, String name, double price) { }

    static long compress(int seed) throws DataFormatException {
        byte[] in = new byte[200_000], out = new byte[300_000], back = new byte[200_000];
        for (int i = 0; i < in.length; i++) in[i] = (byte) (i * seed % 97);
        Deflater d = new Deflater(6);
        d.setInput(in); d.finish();
        int n = d.deflate(out); d.end();
        Inflater f = new Inflater();
        f.setInput(out, 0, n);
        int m = f.inflate(back); f.end();
        CRC32 c = new CRC32(); c.update(back, 0, m);
        return c.getValue() + n;
    }

    public static void main(String[] args) throws Exception {
        Map<String, List<Item>> map = new TreeMap<>();
        Random random = new Random(1);
        for (int i = 0; i < 100_000; i++)
            map.computeIfAbsent("name " + random.nextInt(997), k -> new ArrayList<>()).add(new Item(i, "item " + i, random.nextInt(1000) / 4.0));
        System.out.println(map.size() + " " + map.values().stream().flatMap(List::stream).mapToDouble(Item::price).sum());
        ExecutorService pool = Executors.newFixedThreadPool(6);
        List<Future<Long>> futures = new ArrayList<>();
        for (int i = 0; i < 60; i++) { int seed = i; futures.add(pool.submit(() -> compress(seed))); }
        long sum = 0;
        for (Future<Long> f : futures) sum = sum * 31 + f.get();
        System.out.println(sum);
        pool.shutdown();
        long direct = 0;
        for (int i = 0; i < 300; i++) {
            ByteBuffer b = ByteBuffer.allocateDirect(i * 1000 + 1);
            for (int k = 0; k < b.capacity(); k += 100) b.put(k, (byte) k);
            direct += b.get(b.capacity() / 200 * 100);
            if (i % 100 == 99) System.gc();
        }
        System.out.println(direct);
        for (int round = 0; round < 10; round++) {
            Thread[] threads = new Thread[40];
            long[] sums = new long[40];
            for (int t = 0; t < 40; t++) { int n = t; threads[t] = new Thread(() -> { for (int i = 0; i < 5000; i++) sums[n] += ("t" + n + i).hashCode() % 1000; }); threads[t].start(); }
            for (Thread t : threads) t.join();
            if (round == 9) System.out.println(LongStream.of(sums).sum());
        }
        try { int[] none = new int[-1]; } catch (NegativeArraySizeException e) { System.out.println(e.getMessage()); }
    }
}
END

step "javac" sh -c 'javac -d classes Work.java && cd classes && sha256sum *.class'
for collector in Serial Parallel G1; do
    step "java with the $collector collector" java -XX:+Use${collector}GC -cp classes Work
done
step "the compilers at once" java -Xcomp -XX:TieredStopAtLevel=1 -cp classes Work
step "jar" sh -c 'cd classes && jar --create --file ../w.jar --date 2001-01-01T00:00:00Z --main-class Work *.class && cd .. && jar --list --file w.jar | sort && java -jar w.jar'
step "javap" sh -c 'javap -c -p -cp classes Work | sha256sum'
