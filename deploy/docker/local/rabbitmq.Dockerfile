# Stands in for rabbitmq:4: Debian's package, with the places, the user and the start of the official image.
FROM partnerpulse/debian
RUN groupadd --gid 999 rabbitmq && useradd --uid 999 --gid 999 --home-dir /var/lib/rabbitmq --shell /bin/bash rabbitmq \
    && apt-get update -q && apt-get install -y -q --no-install-recommends rabbitmq-server && rm -rf /var/lib/apt/lists/* /var/lib/rabbitmq /var/log/rabbitmq /etc/rabbitmq \
    && install -d -o rabbitmq -g rabbitmq -m 777 /var/lib/rabbitmq /var/log/rabbitmq /etc/rabbitmq /etc/rabbitmq/conf.d
ENV PATH=/usr/lib/rabbitmq/bin:$PATH HOME=/var/lib/rabbitmq RABBITMQ_LOGS=- RABBITMQ_CONF_ENV_FILE=/dev/null LANG=C.UTF-8
COPY rabbitmq-entrypoint /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/rabbitmq
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 5672
CMD ["rabbitmq-server"]
LABEL partnerpulse.local=true
