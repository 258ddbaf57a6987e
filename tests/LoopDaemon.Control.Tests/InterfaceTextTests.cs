using System.Text.Json;
using System.Text.RegularExpressions;
using LoopDaemon.Control.Varlink;

namespace LoopDaemon.Control.Tests;

/// <summary>The interfaces describe themselves truthfully, in Varlink's grammar (https://varlink.org/Interface-Definition).</summary>
public sealed partial class InterfaceTextTests
{
    [Theory]
    [InlineData("org.varlink.service")]
    [InlineData("io.loopdaemon.Control")]
    public void The_text_that_is_served_is_valid_and_declares_exactly_the_methods_there_are(string name)
    {
        using var running = new RunningServer();
        using RawClient client = running.ConnectRaw();
        JsonElement reply = client.Call($$$"""{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"{{{name}}}"}}""");
        var parsed = VarlinkText.Parse(reply.GetProperty("parameters").GetProperty("description").GetString()!);

        Assert.Equal(name, parsed.Name);
        var dispatcher = new CallDispatcher(new FakeService(), new ServiceInfo("", "", "", "", []), (_, _) => { });
        Assert.Equal(
            dispatcher.Methods.Where(method => method.StartsWith(name + ".", StringComparison.Ordinal)).Order(),
            parsed.Methods.Keys.Select(method => $"{name}.{method}").Order());
    }

    [Fact]
    public void Every_error_is_declared_with_errno_and_message()
    {
        var parsed = VarlinkText.Parse(VarlinkInterfaces.Describe("io.loopdaemon.Control")!);
        Assert.Equal(Enum.GetNames<ControlError>().Order(), parsed.Errors.Keys.Order());
        Assert.All(parsed.Errors.Values, fields => Assert.Equal(["errno", "message"], fields));
    }

    [Theory]
    [InlineData("DeviceStatus", typeof(DeviceStatus))]
    [InlineData("DeviceNumber", typeof(DeviceNumber))]
    [InlineData("PartitionStatus", typeof(PartitionStatus))]
    [InlineData("TrafficStatus", typeof(TrafficStatus))]
    [InlineData("DeviceEvent", typeof(DeviceEvent))]
    [InlineData("TransferDescription", typeof(TransferDescription))]
    [InlineData("TransferRequest", typeof(TransferCall))]
    public void A_type_has_the_fields_that_are_sent(string declared, Type sent)
    {
        var parsed = VarlinkText.Parse(VarlinkInterfaces.Describe("io.loopdaemon.Control")!);
        Assert.Equal(FieldsOf(sent), parsed.Types[declared].Order());
    }

    [Theory]
    [InlineData("Configure", typeof(ConfigureCall), typeof(ConfigureReply))]
    [InlineData("Clear", typeof(DeviceCall), typeof(ClearReply))]
    [InlineData("SetStatus", typeof(SetStatusCall), typeof(SizeReply))]
    [InlineData("ChangeBackingFile", typeof(ChangeBackingFileCall), typeof(NoParameters))]
    [InlineData("SetCapacity", typeof(DeviceCall), typeof(SizeReply))]
    [InlineData("SetDirectIo", typeof(SetDirectIoCall), typeof(NoParameters))]
    [InlineData("SetSectorSize", typeof(SetSectorSizeCall), typeof(SizeReply))]
    [InlineData("Rescan", typeof(DeviceCall), typeof(SizeReply))]
    [InlineData("Add", typeof(AddCall), typeof(GetFreeReply))]
    [InlineData("Remove", typeof(DeviceCall), typeof(NoParameters))]
    [InlineData("Monitor", typeof(NoParameters), typeof(MonitorReply))]
    [InlineData("GetDaemon", typeof(NoParameters), typeof(DaemonStatus))]
    [InlineData("List", typeof(NoParameters), typeof(ListReply))]
    [InlineData("GetStatus", typeof(DeviceCall), typeof(GetStatusReply))]
    [InlineData("GetFree", typeof(NoParameters), typeof(GetFreeReply))]
    [InlineData("ListTransfers", typeof(NoParameters), typeof(ListTransfersReply))]
    public void A_method_has_the_fields_that_are_sent(string method, Type call, Type reply)
    {
        (IReadOnlyList<string> parameters, IReadOnlyList<string> results) =
            VarlinkText.Parse(VarlinkInterfaces.Describe("io.loopdaemon.Control")!).Methods[method];
        Assert.Equal(FieldsOf(call), parameters.Order());
        Assert.Equal(FieldsOf(reply), results.Order());
    }

    private static IEnumerable<string> FieldsOf(Type type) =>
        type.GetProperties().Select(property => JsonNamingPolicy.CamelCase.ConvertName(property.Name)).Order();

    /// <summary>A parser of Varlink interface texts, by recursive descent over their tokens.</summary>
    private sealed partial class VarlinkText
    {
        private readonly List<string> _tokens;
        private readonly HashSet<string> _used = [];
        private int _next;

        private VarlinkText(string text)
        {
            string bare = Comment().Replace(text, "");
            _tokens = [.. Token().Matches(bare).Select(match => match.Value)];
            // Nothing but blanks is between the tokens.
            Assert.Equal(Blank().Replace(bare, ""), string.Concat(_tokens));
            Expect("interface");
            Name = Take(InterfaceName());
            while (_next < _tokens.Count)
                Member();
            Assert.Subset(Types.Keys.ToHashSet(), _used);
        }

        public string Name { get; }

        public Dictionary<string, IReadOnlyList<string>> Types { get; } = [];

        public Dictionary<string, (IReadOnlyList<string> Parameters, IReadOnlyList<string> Results)> Methods { get; } = [];

        public Dictionary<string, IReadOnlyList<string>> Errors { get; } = [];

        public static VarlinkText Parse(string text) => new(text);

        private void Member()
        {
            string kind = _tokens[_next++];
            string name = Take(TypeName());
            switch (kind)
            {
                case "type":
                    Types.Add(name, Fields());
                    break;
                case "error":
                    Errors.Add(name, Fields());
                    break;
                case "method":
                    IReadOnlyList<string> parameters = Fields();
                    Expect("->");
                    Methods.Add(name, (parameters, Fields()));
                    break;
                default:
                    Assert.Fail($"a member cannot begin with {kind}");
                    break;
            }
        }

        /// <summary>A struct, or an enum, whose words have no types.</summary>
        private List<string> Fields()
        {
            var names = new List<string>();
            Expect("(");
            bool isEnum = _tokens[_next] != ")" && _tokens[_next + 1] != ":";
            while (_tokens[_next] != ")")
            {
                if (names.Count > 0)
                    Expect(",");
                names.Add(Take(FieldName()));
                if (isEnum)
                    continue;
                Expect(":");
                FieldType();
            }
            Expect(")");
            Assert.Distinct(names);
            return names;
        }

        private void FieldType()
        {
            if (_tokens[_next] == "?")
                _next++;
            while (_tokens[_next] == "[")
            {
                _next++;
                if (_tokens[_next] == "string")
                    _next++;
                Expect("]");
            }
            if (_tokens[_next] == "(")
                Fields();
            else if (_tokens[_next] is "bool" or "int" or "float" or "string" or "object")
                _next++;
            else
                _used.Add(Take(TypeName()));
        }

        private void Expect(string token) => Assert.Equal(token, _tokens[_next++]);

        private string Take(Regex form)
        {
            Assert.Matches(form, _tokens[_next]);
            return _tokens[_next++];
        }

        [GeneratedRegex("#.*")]
        private static partial Regex Comment();

        [GeneratedRegex(@"\s+")]
        private static partial Regex Blank();

        [GeneratedRegex(@"->|[A-Za-z][A-Za-z0-9_.-]*|[(),:?\[\]]")]
        private static partial Regex Token();

        [GeneratedRegex(@"^[A-Za-z]([-]*[A-Za-z0-9])*(\.[A-Za-z0-9]([-]*[A-Za-z0-9])*)+$")]
        private static partial Regex InterfaceName();

        [GeneratedRegex("^[A-Z][A-Za-z0-9]*$")]
        private static partial Regex TypeName();

        [GeneratedRegex("^[A-Za-z](_?[A-Za-z0-9])*$")]
        private static partial Regex FieldName();
    }
}
