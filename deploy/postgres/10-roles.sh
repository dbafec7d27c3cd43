#!/bin/bash
# The database of PartnerPulse with its roles and schemas. PostgreSQL's official image runs it when it makes its cluster: mount this
# folder at /docker-entrypoint-initdb.d (the image runs roles.sql once more by itself, which changes nothing). By hand, libpq's own
# variables (PGHOST, PGPORT, PGPASSWORD) name the server. It may be run again at any time, which is how a password is changed:
#
#   POSTGRES_USER=pulse PULSE_OUTBOUND_PASSWORD=... deploy/postgres/10-roles.sh
#
# A service's password is PULSE_<SERVICE>_PASSWORD, else what the file PULSE_<SERVICE>_PASSWORD_FILE holds. Without one a role keeps the
# password that it has, and a new one cannot log in.
set -euo pipefail

user="${POSTGRES_USER:-postgres}"
database="${POSTGRES_DB:-partnerpulse}"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

for service in partners conversions attribution outbound standalone; do
    name="PULSE_${service^^}_PASSWORD"
    file="${name}_FILE"
    if [ -z "${!name:-}" ] && [ -n "${!file:-}" ]; then
        printf -v "$name" '%s' "$(cat "${!file}")"
    fi
    export "$name=${!name:-}"
done

run() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$user" --no-password "$@"; }

run --dbname postgres --set database="$database" <<'SQL'
select format('create database %I', :'database') where not exists (select from pg_database where datname = :'database') \gexec
SQL

# By the environment, because arguments can be read by every user of the machine.
run --dbname "$database" --file - --file "$here/roles.sql" <<'SQL'
\getenv partners PULSE_PARTNERS_PASSWORD
\getenv conversions PULSE_CONVERSIONS_PASSWORD
\getenv attribution PULSE_ATTRIBUTION_PASSWORD
\getenv outbound PULSE_OUTBOUND_PASSWORD
\getenv standalone PULSE_STANDALONE_PASSWORD
select set_config('pulse.partners_password', :'partners', false), set_config('pulse.conversions_password', :'conversions', false),
       set_config('pulse.attribution_password', :'attribution', false), set_config('pulse.outbound_password', :'outbound', false),
       set_config('pulse.standalone_password', :'standalone', false) \g /dev/null
SQL
