import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.retry.RetryOneTime;

/** contender.mjs for the JVM, with Curator: takes the same arguments but a path instead of a key, and says the same. */
public class Contender {
    public static void main(String[] args) throws Exception {
        String servers = args[1], path = args[2];
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(servers)
                .sessionTimeoutMs(4_000)
                .connectionTimeoutMs(4_000)
                .retryPolicy(new RetryOneTime(100))
                .build();
        client.start();
        client.blockUntilConnected();
        say("ready");
        System.in.read();
        if (args[0].equals("hold")) {
            lock(client, path, args[3]).acquire();
            say("held " + System.nanoTime());
            System.in.read();
            System.in.read();
            return;
        }
        Path counter = Path.of(args[4]);
        int total = Integer.parseInt(args[5]), rest = Integer.parseInt(args[7]);
        Thread[] threads = new Thread[Integer.parseInt(args[6])];
        for (int n = 0; n < threads.length; n++) {
            threads[n] = new Thread(() -> count(lock(client, path, args[3]), counter, total, rest));
            threads[n].start();
        }
        for (Thread thread : threads) thread.join();
        client.close();
        say("done");
    }

    private static InterProcessMutex lock(CuratorFramework client, String path, String kind) {
        if (kind.equals("mutex")) return new InterProcessMutex(client, path);
        InterProcessReadWriteLock both = new InterProcessReadWriteLock(client, path);
        return kind.equals("read") ? both.readLock() : both.writeLock();
    }

    private static void count(InterProcessMutex mutex, Path counter, int total, int rest) {
        try {
            for (int found = 0; found < total;) {
                mutex.acquire();
                try {
                    long from = System.nanoTime();
                    String text = Files.readString(counter);
                    // Empty while somebody else writes it, which nobody may now.
                    found = text.isEmpty() ? -1 : Integer.parseInt(text);
                    Thread.sleep(1);
                    if (found >= 0 && found < total) Files.writeString(counter, String.valueOf(found + 1));
                    if (found < total) say("section " + from + " " + System.nanoTime() + " " + found);
                } finally {
                    mutex.release();
                }
                Thread.sleep(rest);
            }
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static synchronized void say(String line) {
        System.out.println(line);
    }
}
