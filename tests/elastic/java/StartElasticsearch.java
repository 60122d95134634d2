import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.plugins.PluginsUtils;

/**
 * Starts a node of Elasticsearch 8 or 9 from its published jars. Elasticsearch's own start script
 * is not published there; it would also refuse to run as root.
 *
 * <p>Arguments: the folder with lib, modules and plugins; the folder of the configuration; settings
 * as name=value.
 */
public class StartElasticsearch {
    public static void main(String[] arguments) throws Exception {
        LogConfigurator.configureESLogging();
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
        LogConfigurator.configure(environment, true);
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
                PluginsUtils.getModuleBundles(home.resolve("modules")),
                PluginsUtils.getPluginBundles(home.resolve("plugins")),
                Map.of());
        Node node = new Node(environment, plugins);
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
