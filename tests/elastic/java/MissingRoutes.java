package flowprobe;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.apache.lucene.util.Version;
import org.elasticsearch.Build;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.admin.indices.create.AutoCreateAction;
import org.elasticsearch.action.admin.indices.create.CreateIndexRequest;
import org.elasticsearch.action.admin.indices.resolve.ResolveIndexAction;
import org.elasticsearch.action.support.IndicesOptions;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.index.IndexNotFoundException;
import org.elasticsearch.index.mapper.KeywordFieldMapper;
import org.elasticsearch.index.mapper.Mapper;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.MapperPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * The routes of modules of Elasticsearch 8 and 9 whose jars are not published: {@code GET /},
 * {@code _data_stream} and {@code _ilm/policy}. The actions behind them are those of the server.
 *
 * <p>Two things are less than the real ones: a constant_keyword is a keyword of any value, and
 * lifecycle policies are not carried out.
 */
public class MissingRoutes extends Plugin implements ActionPlugin, MapperPlugin {
    @Override
    public List<Setting<?>> getSettings() {
        return LifecyclePolicies.settings();
    }

    @Override
    public List<NamedXContentRegistry.Entry> getNamedXContent() {
        return LifecyclePolicies.parsers();
    }

    @Override
    public Map<String, Mapper.TypeParser> getMappers() {
        return Map.of(
                "constant_keyword",
                (name, node, context) -> {
                    node.remove("value");
                    return KeywordFieldMapper.PARSER.parse(name, node, context);
                });
    }

    @Override
    public Collection<RestHandler> getRestHandlers(
            Settings settings,
            NamedWriteableRegistry registry,
            RestController controller,
            ClusterSettings clusterSettings,
            IndexScopedSettings indexSettings,
            SettingsFilter filter,
            IndexNameExpressionResolver resolver,
            Supplier<DiscoveryNodes> nodes,
            Predicate<NodeFeature> features) {
        LifecyclePolicies policies = new LifecyclePolicies();
        return List.of(
                new Route("GET /", MissingRoutes::root),
                new Route("HEAD /", MissingRoutes::root),
                new Route("PUT /_data_stream/{name}", MissingRoutes::createDataStream),
                new Route("GET /_data_stream/{name}", MissingRoutes::showDataStreams),
                new Route("PUT /_ilm/policy/{name}", (request, client) -> policies.put(request)),
                new Route("GET /_ilm/policy/{name}", (request, client) -> policies.show(request)));
    }

    private static Answer root(RestRequest request, NodeClient client) {
        return channel -> {
            Build build = Build.current();
            XContentBuilder body = channel.newBuilder().startObject();
            body.field("name", "node").field("cluster_name", "tests").startObject("version");
            body.field("number", build.qualifiedVersion());
            body.field("build_flavor", build.flavor());
            body.field("build_type", "tar");
            body.field("lucene_version", Version.LATEST.toString());
            body.endObject().field("tagline", "You Know, for Search").endObject();
            channel.sendResponse(new RestResponse(RestStatus.OK, body));
        };
    }

    /** By the action with which a document for a new data stream creates it. */
    private static Answer createDataStream(RestRequest request, NodeClient client) {
        CreateIndexRequest create = new CreateIndexRequest(request.param("name"));
        return channel ->
                client.execute(
                        AutoCreateAction.INSTANCE, create, new RestToXContentListener<>(channel));
    }

    private static Answer showDataStreams(RestRequest request, NodeClient client) {
        String name = request.param("name");
        IndicesOptions options = IndicesOptions.lenientExpandOpenHidden();
        ResolveIndexAction.Request resolve =
                new ResolveIndexAction.Request(new String[] {name}, options);
        return channel ->
                client.execute(
                        ResolveIndexAction.INSTANCE,
                        resolve,
                        ActionListener.wrap(
                                found -> show(channel, name, found),
                                error -> fail(channel, error)));
    }

    private static void show(RestChannel channel, String name, ResolveIndexAction.Response found)
            throws IOException {
        if (found.getDataStreams().isEmpty() && !name.contains("*")) {
            fail(channel, new IndexNotFoundException(name));
            return;
        }
        XContentBuilder body = channel.newBuilder().startObject().startArray("data_streams");
        for (ResolveIndexAction.ResolvedDataStream stream : found.getDataStreams()) {
            body.startObject().field("name", stream.getName());
            body.startObject("timestamp_field").field("name", stream.getTimestampField());
            body.endObject().startArray("indices");
            for (String index : stream.getBackingIndices()) {
                body.startObject().field("index_name", index).endObject();
            }
            body.endArray().endObject();
        }
        channel.sendResponse(new RestResponse(RestStatus.OK, body.endArray().endObject()));
    }

    private static void fail(RestChannel channel, Exception error) {
        try {
            channel.sendResponse(new RestResponse(channel, error));
        } catch (IOException second) {
            throw new UncheckedIOException(second);
        }
    }

    /** What is done once a channel to answer on is there. */
    interface Answer {
        void on(RestChannel channel) throws Exception;
    }

    /** Reads a request. */
    private interface Reading {
        Answer read(RestRequest request, NodeClient client) throws IOException;
    }

    private static class Route extends BaseRestHandler {
        private final String route;
        private final Reading reading;

        Route(String route, Reading reading) {
            this.route = route;
            this.reading = reading;
        }

        @Override
        public String getName() {
            return route;
        }

        @Override
        public List<RestHandler.Route> routes() {
            String[] parts = route.split(" ");
            RestRequest.Method method = RestRequest.Method.valueOf(parts[0]);
            return List.of(new RestHandler.Route(method, parts[1]));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client)
                throws IOException {
            return reading.read(request, client)::on;
        }
    }
}
