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
    {% set state = namespace(product=none) %}
    {% for part in cqox.parts_of_term(term) %}
        {% set own = cqox.part_expressions(relation, part) %}
        {% if state.product is none %}
            {% set state.product = own %}
        {% else %}
            {% set out = [] %}
            {% for a in state.product %}{% for b in own %}
                {% set product = cqox.bounded('((' ~ a.sql ~ ') * (' ~ b.sql ~ '))') %}
                {% do out.append({'name': a.name ~ ':' ~ b.name, 'sql': product}) %}
            {% endfor %}{% endfor %}
            {% set state.product = out %}
        {% endif %}
    {% endfor %}
    {{ return(state.product or []) }}
{% endmacro %}

{# One part of a term as a list of {name, sql}. #}
{% macro part_expressions(relation, part) %}
    {% set number = cqox.as_number(part.column) %}
    {% if part.kind == 'category' %}
        {{ return(cqox.category_indicators(relation, part.column)) }}
    {% elif part.kind == 'power' %}
        {{ return([{'name': part.name, 'sql': cqox.bounded('power(' ~ number ~ ', ' ~ part.power ~ ')')}]) }}
    {% elif part.kind == 'log' %}
        {# engines raise on the logarithm of zero, which would cost the study its other gates: NULL, and the gate fails #}
        {{ return([{'name': part.name, 'sql': 'case when ' ~ number ~ ' > 0 then ln(' ~ number ~ ') end'}]) }}
    {% endif %}
    {{ return([{'name': part.name, 'sql': cqox.bounded(number)}]) }}
{% endmacro %}

{#
    The parts of a term, by the rule of estimators/terms.py: between colons, each name^1 to name^9, C(name), log(name), or else
    the name of a column, whatever it holds; backticks around a name that looks like one of these. Mappings of kind, column,
    name, power; an empty part is left out, as the effects tell that it is no term.
#}
{% macro parts_of_term(term) %}
    {% set out = [] %}
    {% for text in modules.re.split(':(?=(?:[^`]*`[^`]*`)*[^`]*$)', term | string) %}
        {% set text = text | trim %}
        {% set power = modules.re.fullmatch('(?s)(.+)\\^([1-9])', text) %}
        {% set category = modules.re.fullmatch('(?s)C\\((.+)\\)', text) %}
        {% set logarithm = modules.re.fullmatch('(?s)log\\((.+)\\)', text) %}
        {% if power %}
            {% do out.append({'kind': 'power', 'column': cqox.unquoted(power.group(1)), 'name': text, 'power': power.group(2)}) %}
        {% elif category %}
            {% do out.append({'kind': 'category', 'column': cqox.unquoted(category.group(1)), 'name': text, 'power': '1'}) %}
        {% elif logarithm %}
            {% do out.append({'kind': 'log', 'column': cqox.unquoted(logarithm.group(1)), 'name': text, 'power': '1'}) %}
        {% elif text %}
            {% set name = cqox.unquoted(text) %}
            {% do out.append({'kind': 'number', 'column': name, 'name': name, 'power': '1'}) %}
        {% endif %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{% macro unquoted(name) %}
    {% set name = name | trim %}
    {{ return(name[1:-1] if name | length > 2 and name[0] == '`' and name[-1] == '`' else name) }}
{% endmacro %}

{% macro as_number(column) %}
    {{ return('cast(' ~ cqox.quoted(column) ~ ' as ' ~ cqox.type_double() ~ ')') }}
{% endmacro %}

{% macro category_indicators(relation, column) %}
    {% set quoted = cqox.quoted(column) %}
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
