{#
    The terms of a declaration (age, age^2, C(race), log(x), a:b) as SQL expressions over a relation; the same columns as
    estimators/terms.py gives. A category has an indicator a level, the first level in sort order left out.
    Returns a list of {name, sql}. Reads the levels of categories from the relation.
#}
{% macro term_expressions(relation, terms) %}
    {% set out = [] %}
    {% for term in terms %}
        {% for one in cqox.single_term(relation, term) %}
            {% if one.name not in out | map(attribute='name') | list %}{% do out.append(one) %}{% endif %}
        {% endfor %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{% macro single_term(relation, term) %}
    {% if ':' in term %}
        {% set parts = term.split(':') %}
        {% set left = cqox.single_term(relation, parts[0] | trim) %}
        {% set right = cqox.single_term(relation, parts[1:] | join(':') | trim) %}
        {% set out = [] %}
        {% for a in left %}{% for b in right %}
            {% set product = cqox.bounded('((' ~ a.sql ~ ') * (' ~ b.sql ~ '))') %}
            {% do out.append({'name': a.name ~ ':' ~ b.name, 'sql': product}) %}
        {% endfor %}{% endfor %}
        {{ return(out) }}
    {% endif %}
    {% set category = modules.re.match('^C\\((\\w+)\\)$', term) %}
    {% set power = modules.re.match('^(\\w+)\\^([1-9])$', term) %}
    {% set logarithm = modules.re.match('^log\\((\\w+)\\)$', term) %}
    {% if category %}
        {{ return(cqox.category_indicators(relation, category.group(1))) }}
    {% elif power %}
        {% set raised = 'power(' ~ cqox.as_number(power.group(1)) ~ ', ' ~ power.group(2) ~ ')' %}
        {{ return([{'name': term, 'sql': cqox.bounded(raised)}]) }}
    {% elif logarithm %}
        {# engines raise on the logarithm of zero, which would cost the study its other gates: NULL, and the gate fails #}
        {% set inner = cqox.as_number(logarithm.group(1)) %}
        {{ return([{'name': term, 'sql': 'case when ' ~ inner ~ ' > 0 then ln(' ~ inner ~ ') end'}]) }}
    {% endif %}
    {{ return([{'name': term, 'sql': cqox.bounded(cqox.as_number(term))}]) }}
{% endmacro %}

{% macro as_number(column) %}
    {{ return('cast(' ~ adapter.quote(column) ~ ' as ' ~ cqox.type_double() ~ ')') }}
{% endmacro %}

{% macro category_indicators(relation, column) %}
    {% set quoted = adapter.quote(column) %}
    {% set levels = run_query(
        'select ' ~ cqox.as_text(quoted) ~ ' as level from (select distinct ' ~ quoted ~ ' from ' ~ relation
        ~ ' as observed where ' ~ quoted ~ ' is not null) as levels order by ' ~ quoted
    ).columns[0].values() %}
    {% set out = [] %}
    {% for level in levels %}
        {% if not loop.first %}
            {% do out.append({
                'name': column ~ '=' ~ level,
                'sql': 'case when ' ~ cqox.as_text(quoted) ~ ' = ' ~ cqox.text_literal(level)
                    ~ ' then 1.0 when ' ~ quoted ~ ' is not null then 0.0 end',
            }) %}
        {% endif %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}
