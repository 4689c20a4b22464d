{#
    For tests/build/test_gates.py: the gates of made-up studies, each as the table judged.<name>.
    scenarios: list of {name, block, units, scores, design}, the last three tables of schema `scenarios` or null.
#}
{% macro judge(scenarios) %}
    {% do adapter.create_schema(made_up_relation('judged', none)) %}
    {% for one in scenarios %}
        {% do log('judging ' ~ one.name) %}
        {% set sql = cqox.study_gates(
            study=one.name,
            block=one.block,
            units=made_up_relation('scenarios', one.units),
            scores=made_up_relation('scenarios', one.scores) if one.scores else none,
            design=made_up_relation('scenarios', one.design) if one.design else none
        ) %}
        {% do run_query('create or replace table ' ~ made_up_relation('judged', one.name) ~ ' as ' ~ sql) %}
    {% endfor %}
    {# reading a table's columns opened a transaction, which an operation rolls back unless it says otherwise #}
    {% do run_query('commit') %}
{% endmacro %}

{# The same of scenarios that a command line could not hold: one row of JSON text each in scenarios.blocks, by name. #}
{% macro judge_stored() %}
    {% set found = run_query('select scenario from scenarios.blocks order by name').columns[0].values() %}
    {% set scenarios = [] %}
    {% for text in found %}{% do scenarios.append(fromjson(text)) %}{% endfor %}
    {% do judge(scenarios) %}
{% endmacro %}

{#
    For tests/parity: statistics of made-up tables, each as the table measured.<name>.
    statistics: list of {name, macro, arguments, around}; `around` is SQL with {} where the macro gives an expression.
#}
{% macro measure(statistics) %}
    {% do adapter.create_schema(made_up_relation('measured', none)) %}
    {% for one in statistics %}
        {% set package = context['cqox'] if one.macro in context['cqox'] else context %}
        {% set sql = package[one.macro](**one.arguments) %}
        {% do run_query(
            'create table measured.' ~ one.name ~ ' as ' ~ (one.get('around') or '{}') | replace('{}', sql)
        ) %}
    {% endfor %}
{% endmacro %}

{# The columns of a declaration's terms, by name. #}
{% macro term_columns(relation, terms, unit) %}
    select
        {{ unit }}
        {%- for one in cqox.term_expressions(relation, terms) %},
            {{ one.sql }} as {{ adapter.quote(one.name) }}
        {%- endfor %}
    from {{ relation }}
{% endmacro %}

{% macro made_up_relation(schema, name) %}
    {{ return(api.Relation.create(database=target.database or none, schema=schema, identifier=name)) }}
{% endmacro %}

{# The statistics of the terms of a declaration, for tests/parity/test_design_statistics.py. #}
{% macro term_differences(relation, treatment, terms, weights) %}
    {{ return(cqox.standardised_differences(relation, treatment, cqox.term_expressions(relation, terms), weights)) }}
{% endmacro %}

{% macro term_inflation(relation, treatment, terms) %}
    {% set columns = cqox.term_expressions(relation, terms) %}
    {% do columns.append({'name': treatment, 'sql': cqox.as_number(treatment)}) %}
    {{ return(cqox.variance_inflation(relation, columns)) }}
{% endmacro %}

{# For tests/build/test_sampled_types.py: the rows of the files below a study, as the table judged.<study>. #}
{% macro judge_sources(study) %}
    {% do adapter.create_schema(made_up_relation('judged', none)) %}
    {% set parts = cqox.gate_sources(study) + [cqox.gate_row('contract', "'end'", '0', '0', 'true', "''")] %}
    {% do run_query('create table ' ~ made_up_relation('judged', study) ~ ' as ' ~ parts | join(' union all ')) %}
{% endmacro %}
