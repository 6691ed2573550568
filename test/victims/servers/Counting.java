// java Counting.java PORT: /NAME counts what was asked for NAME.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;

public class Counting {
    public static void main(String[] arguments) throws Exception {
        var counts = new ConcurrentHashMap<String, Integer>();
        var server = HttpServer.create(new InetSocketAddress(Integer.parseInt(arguments[0])), 0);
        server.createContext("/", exchange -> {
            var count = counts.merge(exchange.getRequestURI().getPath(), 1, Integer::sum);
            var body = count.toString().getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
        System.out.println("ready");
    }
}
