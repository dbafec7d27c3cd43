using System.Diagnostics;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Tests.Pulse;

public sealed class RunStateTests : IDisposable
{
    private readonly DataFolder _data = DataFolder.Open(Path.Combine(Path.GetTempPath(), $"pulse-{Guid.NewGuid():N}"));

    public void Dispose() => Directory.Delete(_data.Path, recursive: true);

    [Fact]
    public void What_is_written_is_read_back()
    {
        var state = State(Child("edge", 42, "boot:7") with { Address = "http://127.0.0.1:8081", Restarts = 3 }) with { Ready = true, RabbitMq = "amqp://a:b@c" };

        state.Write(_data);
        var read = RunState.Read(_data)!;

        Assert.Equal(state.ToJson(), read.ToJson());
        Assert.Equal(new ProcessIdentity(42, "boot:7"), read.Processes[0].Identity);
    }

    [Fact]
    public void Only_the_owner_can_read_it_because_it_holds_passwords()
    {
        State().Write(_data);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_data.File(RunState.FileName)));
    }

    [Fact]
    public void A_folder_where_nothing_was_started_has_no_run() => Assert.Null(RunState.Read(_data));

    [Fact]
    public void A_file_that_cannot_be_read_is_named()
    {
        File.WriteAllText(_data.File(RunState.FileName), "{");

        Assert.Contains(_data.File(RunState.FileName), Assert.Throws<ProvisioningException>(() => RunState.Read(_data)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_only_has_the_same_number_is_not_ended()
    {
        using var stranger = Process.Start("sleep", "60");
        try
        {
            var reused = Child("edge", stranger.Id, "another boot:1");

            Assert.Empty(State(reused).Alive());
            await State(reused).StopProcessesAsync(_ => { });

            Assert.False(stranger.HasExited);
        }
        finally
        {
            stranger.Kill();
        }
    }

    [Fact]
    public async Task The_processes_of_a_run_are_ended_last_started_first()
    {
        using var first = Process.Start("sleep", "60");
        using var second = Process.Start("sleep", "60");
        var said = new List<string>();

        await State(
            Child("postgres", first.Id, ProcessIdentity.Of(first.Id)!.Start),
            Child("edge", second.Id, ProcessIdentity.Of(second.Id)!.Start)).StopProcessesAsync(said.Add);

        await first.WaitForExitAsync();
        await second.WaitForExitAsync();
        Assert.Equal(["stopping edge", "stopping postgres"], said);
    }

    private RunState State(params RunningProcess[] processes) =>
        new() { Mode = "standalone", Url = "http://localhost:8080", Up = Child("up", 1, "none"), Processes = processes };

    private RunningProcess Child(string name, int pid, string start) =>
        new() { Name = name, Pid = pid, Start = start, Log = _data.Log(name), StopSignal = Signal.Terminate };
}
