# Stands in for mcr.microsoft.com/dotnet/sdk: the SDK of the machine that makes it, and the packages that a build of ours asks for.
FROM partnerpulse/debian
RUN apt-get update -q && apt-get install -y -q --no-install-recommends libgcc-s1 libssl3t64 libstdc++6 tzdata zlib1g && rm -rf /var/lib/apt/lists/*
COPY dotnet /usr/share/dotnet
COPY packages /usr/share/nuget
RUN ln -s /usr/share/dotnet/dotnet /usr/bin/dotnet && mkdir -p /root/.nuget/NuGet && printf '%s\n' \
    '<configuration><packageSources><clear/><add key="local" value="/usr/share/nuget"/></packageSources></configuration>' > /root/.nuget/NuGet/NuGet.Config
# The official image has ICU.
ENV DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=true DOTNET_NOLOGO=true DOTNET_CLI_TELEMETRY_OPTOUT=true DOTNET_RUNNING_IN_CONTAINER=true NUGET_XMLDOC_MODE=skip
LABEL partnerpulse.local=true
