import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.mapper.DataStreamTimestampFieldMapper;
import org.elasticsearch.index.mapper.MetadataFieldMapper;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.MapperPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.transport.Netty4Plugin;

/**
 * Starts a node of Elasticsearch 7 from its published jars. Its own start script is not published
 * there; it would also refuse to run as root.
 *
 * <p>Arguments: a folder that the node calls its home; the folder of the configuration; settings as
 * name=value.
 */
public class StartElasticsearch7 {
    /** Plugins can be given as classes to heirs only. */
    private static class NodeWithHttp extends Node {
        NodeWithHttp(Environment environment) {
            super(environment, List.of(Netty4Plugin.class, DataStreams.class), true);
        }
    }

    /** Has the server's own mapper for data streams known, as a module that is not published does. */
    public static class DataStreams extends Plugin implements MapperPlugin {
        @Override
        public Map<String, MetadataFieldMapper.TypeParser> getMetadataMappers() {
            return Map.of(DataStreamTimestampFieldMapper.NAME, DataStreamTimestampFieldMapper.PARSER);
        }
    }

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
        Node node = new NodeWithHttp(environment);
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
