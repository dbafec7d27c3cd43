using System.CommandLine;

namespace PartnerPulse.Pulse.Commands;

internal static class ReceiptCommand
{
    public static Command Build()
    {
        var source = new Argument<string>("source") { Description = "Where the order came from, as the shop names itself." };
        var order = new Argument<string>("order") { Description = "The shop's id of the order." };
        var generation = new Option<int?>("--generation") { Description = "Under another generation than the one that counts, such as a replay's.", HelpName = "N" };
        var partner = new Option<string?>("--partner") { Description = "As this partner may see it: the others' names and money removed.", HelpName = "ID" };
        var url = Shared.Url();
        var key = Shared.Key();
        var data = Shared.Data();
        var json = Shared.Json();
        var text = new Option<bool>("--text") { Description = "The whole receipt as a page of plain text." };
        var command = new Command("receipt", "Why an order has the credit it has: every touch, its share or what stopped it.")
        {
            source, order, generation, partner, text, url, key, data, json,
        };
        Examples.Of(command, "./pulse receipt shop 1001", "./pulse receipt shop 1001 --partner acme", "./pulse receipt shop 1001 --text", "./pulse receipt shop 1001 --json | jq .touches");
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            var path = Path(parsed.GetValue(source)!, parsed.GetValue(order)!)
                + (parsed.GetValue(generation) is { } number ? $"&generation={number}" : "")
                + (parsed.GetValue(partner) is { } id ? $"&partner={Uri.EscapeDataString(id)}" : "");
            if (parsed.GetValue(text))
            {
                Console.Out.Write(await api.GetTextAsync(path, cancellation));
                return Exit.Ok;
            }

            var receipt = await api.GetAsync(path, cancellation);
            if (parsed.GetValue(json))
            {
                Terminal.WriteJson(receipt);
            }
            else
            {
                Tables.Receipt(receipt);
            }

            return Exit.Ok;
        });
        return command;
    }

    public static string Path(string source, string order) => $"/v1/receipts?source={Uri.EscapeDataString(source)}&orderId={Uri.EscapeDataString(order)}";
}
