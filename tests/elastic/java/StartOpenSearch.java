import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;

/**
 * Starts a node of OpenSearch from its published jars. Its own start script is not published
 * there; it would also refuse to run as root.
 *
 * <p>Arguments: a folder that the node calls its home; the folder of the configuration; settings as
 * name=value.
 */
public class StartOpenSearch {
    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]);
        Map<String, String> given = new TreeMap<>();
        for (int i = 2; i < arguments.length; i++) {
            String[] setting = arguments[i].split("=", 2);
            given.put(setting[0], setting[1]);
        }
        Settings base = Settings.builder().put("path.home", home.toString()).build();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
                base, given, Path.of(arguments[1]), () -> "node");
        LogConfigurator.registerErrorListener();
        LogConfigurator.configure(environment);
        Node node = new NodeWithPlugins(environment);
        node.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        // The test holds the other end of the pipe: this ends when the test does, however it does.
        while (System.in.read() != -1) {}
        System.exit(0);
    }

    private static void close(Node node) {
        try {
            node.close();
        } catch (Exception error) {
            error.printStackTrace();
        }
    }
}
