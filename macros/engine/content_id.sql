{#
    An id for rows whose file has none: a hash of the row's content, and a number among rows that are alike in all of it. So
    it does not depend on the order of the file, nor do folds, samples and ties that are told by it; alike rows may change
    places, which changes nothing. The id of one row is the same when other rows come or go.
    content: SQL of the whole row: the name of a CTE, or row(a, b).
#}
{% macro content_id(content) -%}
    {%- set hash = 'substr(md5(cast(to_json(' ~ content ~ ') as varchar)), 1, 16)' -%}
    {{ hash }} || '-' || cast(row_number() over (partition by {{ hash }}) as varchar)
{%- endmacro %}
