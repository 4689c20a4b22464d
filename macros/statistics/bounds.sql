{#
    Which numbers count as values: the rule of estimators/bounds.py in SQL. A NaN is a missing value, as NULL is; an infinity or a
    number beyond 1e150 in size is a breach. NaN is above every number in DuckDB, Postgres and Spark, so that one comparison
    tells numbers from both.
#}

{# SQL that is true where a column has no value. A NaN occurs in floating point only. #}
{% macro is_missing(column, data_type) %}
    {% set quoted = cqox.quoted(column) %}
    {% if cqox.is_float(data_type) %}
        {{ return('(' ~ quoted ~ ' is null or ' ~ quoted ~ " = cast('NaN' as " ~ cqox.type_double() ~ '))') }}
    {% endif %}
    {{ return('(' ~ quoted ~ ' is null)') }}
{% endmacro %}

{# A number, or NULL where its square would overflow: engines raise on a sum or variance that does, for all studies at once. #}
{% macro bounded(expression) %}
    {{ return('case when abs(' ~ expression ~ ') <= 1e150 then ' ~ expression ~ ' end') }}
{% endmacro %}

{# The smallest and largest size that the largest number of a role's column may have, as limits() of estimators/bounds.py. #}
{% macro size_limits(role) %}
    {{ return(('1e-20', '1e20') if role == 'running' else ('1e-150', '1e150')) }}
{% endmacro %}

{% macro is_float(data_type) %}
    {{ return('double' in data_type or 'float' in data_type or 'real' in data_type) }}
{% endmacro %}

{# Types of numbers: not booleans, whose sizes nobody asks, nor arrays of numbers. #}
{% macro is_numeric(data_type) %}
    {% set numbers = '^u?(tiny|small|big|huge|byte|long|short)?(int|integer)?([0-9]+)?$' %}
    {{ return(
        (modules.re.match(numbers, data_type) or modules.re.match('^(decimal|numeric)', data_type)
            or cqox.is_float(data_type)) and not data_type.endswith(']')
    ) }}
{% endmacro %}

{# Whether a type holds whole numbers only, of which floating point cannot tell those beyond 2^53 apart. #}
{% macro is_whole(data_type) %}
    {{ return(
        cqox.is_numeric(data_type) and not cqox.is_float(data_type)
        and (modules.re.match('^(decimal|numeric)', data_type) is none or data_type.endswith(',0)'))
    ) }}
{% endmacro %}
