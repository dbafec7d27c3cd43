# Stands in for mcr.microsoft.com/dotnet/aspnet: the runtime of the machine that makes it, and the same unprivileged user.
FROM partnerpulse/debian
ENV APP_UID=1654 ASPNETCORE_HTTP_PORTS=8080 DOTNET_RUNNING_IN_CONTAINER=true
RUN apt-get update -q && apt-get install -y -q --no-install-recommends libgcc-s1 libssl3t64 libstdc++6 tzdata zlib1g && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid $APP_UID app && useradd --uid $APP_UID --gid $APP_UID --create-home app
COPY dotnet /usr/share/dotnet
RUN ln -s /usr/share/dotnet/dotnet /usr/bin/dotnet
LABEL partnerpulse.local=true
