// Counts in a scheduled pool while another thread makes garbage.
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Counter {
    static volatile Object garbage;

    public static void main(String[] args) {
        var data = new ConcurrentHashMap<Integer, String>();
        for (int i = 0; i < 20000; i++) data.put(i, String.valueOf(i).repeat(3));
        int digest = data.hashCode();
        var count = new AtomicInteger();
        var pool = Executors.newScheduledThreadPool(2);
        pool.scheduleWithFixedDelay(
            () -> System.out.println("count " + count.incrementAndGet() + " " + digest), 50, 50, TimeUnit.MILLISECONDS);
        pool.scheduleWithFixedDelay(() -> garbage = new byte[1 << 20], 10, 10, TimeUnit.MILLISECONDS);
    }
}
