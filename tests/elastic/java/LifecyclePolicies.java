package flowprobe;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.core.CheckedFunction;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xpack.core.ilm.AllocateAction;
import org.elasticsearch.xpack.core.ilm.DeleteAction;
import org.elasticsearch.xpack.core.ilm.ForceMergeAction;
import org.elasticsearch.xpack.core.ilm.LifecycleAction;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicy;
import org.elasticsearch.xpack.core.ilm.LifecycleSettings;
import org.elasticsearch.xpack.core.ilm.LifecycleType;
import org.elasticsearch.xpack.core.ilm.ReadOnlyAction;
import org.elasticsearch.xpack.core.ilm.RolloverAction;
import org.elasticsearch.xpack.core.ilm.SetPriorityAction;
import org.elasticsearch.xpack.core.ilm.ShrinkAction;
import org.elasticsearch.xpack.core.ilm.TimeseriesLifecycleType;
import org.elasticsearch.xpack.core.ilm.action.PutLifecycleRequest;

/**
 * The routes of {@code _ilm/policy}. Policies are read and checked as Elasticsearch does it, kept in
 * memory, and not carried out.
 */
class LifecyclePolicies {
    private final Map<String, LifecyclePolicy> policies = new ConcurrentSkipListMap<>();

    static List<Setting<?>> settings() {
        return List.of(
                LifecycleSettings.LIFECYCLE_NAME_SETTING,
                RolloverAction.LIFECYCLE_ROLLOVER_ALIAS_SETTING);
    }

    static List<NamedXContentRegistry.Entry> parsers() {
        return List.of(
                new NamedXContentRegistry.Entry(
                        LifecycleType.class,
                        new ParseField(TimeseriesLifecycleType.TYPE),
                        parser -> TimeseriesLifecycleType.INSTANCE),
                action(AllocateAction.NAME, AllocateAction::parse),
                action(DeleteAction.NAME, DeleteAction::parse),
                action(ForceMergeAction.NAME, ForceMergeAction::parse),
                action(ReadOnlyAction.NAME, ReadOnlyAction::parse),
                action(RolloverAction.NAME, RolloverAction::parse),
                action(SetPriorityAction.NAME, SetPriorityAction::parse),
                action(ShrinkAction.NAME, ShrinkAction::parse));
    }

    private static NamedXContentRegistry.Entry action(
            String name,
            CheckedFunction<XContentParser, ? extends LifecycleAction, IOException> parse) {
        return new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(name), parse);
    }

    MissingRoutes.Answer put(RestRequest request) throws IOException {
        String name = request.param("name");
        LifecyclePolicy policy;
        try (XContentParser parser = request.contentParser()) {
            policy = PutLifecycleRequest.parseRequest(new Factory(name), parser).getPolicy();
        }
        LifecyclePolicy.validatePolicyName(name);
        policy.validate();
        policies.put(name, policy);
        return channel -> {
            XContentBuilder body = channel.newBuilder().startObject();
            body.field("acknowledged", true).endObject();
            channel.sendResponse(new RestResponse(RestStatus.OK, body));
        };
    }

    MissingRoutes.Answer show(RestRequest request) {
        String name = request.param("name");
        LifecyclePolicy policy = policies.get(name);
        if (policy == null) {
            throw new ResourceNotFoundException("Lifecycle policy not found: {}", name);
        }
        return channel -> {
            XContentBuilder body = channel.newBuilder().startObject().startObject(name);
            body.field("policy", policy).endObject().endObject();
            channel.sendResponse(new RestResponse(RestStatus.OK, body));
        };
    }

    private record Factory(String getPolicyName) implements PutLifecycleRequest.Factory {
        @Override
        public PutLifecycleRequest create(LifecyclePolicy policy) {
            return new PutLifecycleRequest(TimeValue.ZERO, TimeValue.ZERO, policy);
        }
    }
}
