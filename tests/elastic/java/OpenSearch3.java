import java.util.List;
import org.opensearch.Version;
import org.opensearch.env.Environment;
import org.opensearch.geo.GeoModulePlugin;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.transport.Netty4ModulePlugin;

/** Plugins of the class path can be given to heirs only. */
class NodeWithPlugins extends Node {
    NodeWithPlugins(Environment environment) {
        super(environment, List.of(plugin(Netty4ModulePlugin.class), plugin(GeoModulePlugin.class)),
                true);
    }

    private static PluginInfo plugin(Class<? extends Plugin> plugin) {
        return new PluginInfo(plugin.getSimpleName(), plugin.getName(), "3", Version.CURRENT, "21",
                plugin.getName(), null, List.of(), false);
    }
}
