import java.util.List;
import org.opensearch.env.Environment;
import org.opensearch.geo.GeoModulePlugin;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** Plugins can be given as classes to heirs only. */
class NodeWithPlugins extends Node {
    NodeWithPlugins(Environment environment) {
        super(environment, List.of(Netty4Plugin.class, GeoModulePlugin.class), true);
    }
}
