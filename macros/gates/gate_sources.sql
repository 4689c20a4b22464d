{#
    Contract rows of the files that a study reads by types guessed from their first rows. DuckDB guesses the types of a CSV or
    JSON file from 20,480 rows and rounds what comes after: decimals in a column of whole numbers become whole without a word.
    Each such reading, in a source's external_location or in a model's own SQL, is compared with the types that all rows give:
    it fails where they differ. A reading with `sample_size = -1` has no row. On other engines files are no sources.
#}
{% macro gate_sources(study) %}{{ return(adapter.dispatch('gate_sources', 'cqox')(study)) }}{% endmacro %}

{% macro default__gate_sources(study) %}{{ return([]) }}{% endmacro %}

{% macro duckdb__gate_sources(study) %}
    {% set rows = [] %}
    {% for place, subject, reading in cqox.sampled_readings(study) %}
        {% set wrong = cqox.types_by_sample(reading) %}
        {% set mend = ': write ' ~ cqox.whole_file(reading) ~ ' in ' ~ place %}
        {% set reason = place ~ ' types its columns by the first rows of the file, and all of them give '
            ~ ('the same types' if not wrong else 'other types of ' ~ wrong | join(', ')) ~ mend %}
        {% do rows.append(cqox.gate_row(
            'contract', cqox.text_literal('types of ' ~ subject), wrong | length, '0',
            'false' if wrong else 'true', cqox.text_literal(reason)
        )) %}
    {% endfor %}
    {{ return(rows) }}
{% endmacro %}

{# The readings by a sample below a study, as tuples of place, subject and SQL. #}
{% macro sampled_readings(study) %}
    {% set ancestors = cqox.ancestors_of(study) %}
    {% set texts = [] %}
    {% for source in graph.sources.values() if "'" ~ source.unique_id ~ "'" in ancestors %}
        {% set name = source.source_name ~ '.' ~ source.name %}
        {% set at = namespace(location=(source.config.meta or {}).get('external_location') or '') %}
        {% for key, value in {
            'name': source.name, 'identifier': source.identifier, 'schema': source.schema, 'database': source.database
        }.items() %}
            {% set at.location = at.location | replace('{' ~ key ~ '}', value) %}
        {% endfor %}
        {% set is_bare = '(' not in at.location and not at.location.startswith("'") %}
        {% set bare = "'" ~ at.location ~ "'" if is_bare else at.location %}
        {% do texts.append(("the external_location of source '" ~ name ~ "'", name, 'from ' ~ bare)) %}
    {% endfor %}
    {% for node in graph.nodes.values()
        if node.resource_type == 'model' and node.language == 'sql' and "'" ~ node.unique_id ~ "'" in ancestors %}
        {% do texts.append(("the model '" ~ node.name ~ "'", node.name, node.raw_code)) %}
    {% endfor %}
    {% set found = [] %}
    {% for place, subject, text in texts %}
        {% for reading in cqox.file_readings(text) if not cqox.reads_whole_file(reading) %}
            {# a subject is one row of the gates #}
            {% set subject = subject if loop.first else subject ~ ' (' ~ loop.index ~ ')' %}
            {% do found.append((place, subject, reading)) %}
        {% endfor %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{# The calls of DuckDB's readers of CSV and JSON in SQL, and the files that it reads by their bare name after `from`. #}
{% macro file_readings(text) %}
    {% set text = modules.re.sub('(?m)--[^\n]*$', '', modules.re.sub('(?s)\{#.*?#\}|/\*.*?\*/', '', text or '')) %}
    {% set found = [] %}
    {% for bare in modules.re.findall("(?i)\\b(?:from|join)\\s+('[^']+[.](?:csv|tsv|jsonl?|ndjson)(?:[.](?:gz|zst))?')", text) %}
        {% do found.append(bare) %}
    {% endfor %}
    {% for head in modules.re.finditer('(?i)\\bread_(?:csv|json|ndjson)(?:_auto|_objects)?\\s*\\(', text) %}
        {% set state = namespace(depth=1, quoted=false, end=none) %}
        {% for letter in text[head.end():] if state.end is none %}
            {% if letter == "'" %}
                {% set state.quoted = not state.quoted %}
            {% elif not state.quoted %}
                {% set state.depth = state.depth + {'(': 1, ')': -1}.get(letter, 0) %}
                {% if state.depth == 0 %}{% set state.end = head.end() + loop.index %}{% endif %}
            {% endif %}
        {% endfor %}
        {% do found.append(text[head.start():state.end]) %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{% macro reads_whole_file(reading) %}
    {{ return(modules.re.search('(?i)sample_size\\s*(?:=|:=|=>)\\s*-\\s*1\\b', reading) is not none) }}
{% endmacro %}

{# The same reading with types from the whole file. #}
{% macro whole_file(reading) %}
    {% if reading.startswith("'") %}
        {% set reader = 'read_json(' if modules.re.search('(?i)[.](jsonl?|ndjson)', reading) else 'read_csv(' %}
        {{ return(reader ~ reading ~ ', sample_size = -1)') }}
    {% endif %}
    {% set bare = modules.re.sub('(?i),\\s*sample_size\\s*(?:=|:=|=>)\\s*-?\\s*[0-9_]+', '', reading) %}
    {{ return(modules.re.sub('\\s*\\)$', ', sample_size = -1)', bare)) }}
{% endmacro %}

{# The columns whose type by the first rows is not that by all, each with both. #}
{% macro types_by_sample(reading) %}
    {% set sampled = run_query('describe select * from ' ~ render(reading)) %}
    {% set whole = {} %}
    {% for row in run_query('describe select * from ' ~ render(cqox.whole_file(reading))) %}
        {% do whole.update({row[0]: row[1]}) %}
    {% endfor %}
    {% set wrong = [] %}
    {% for row in sampled if whole.get(row[0]) != row[1] %}
        {% set there = whole.get(row[0]) %}
        {% do wrong.append(
            "'" ~ row[0] ~ "' (" ~ row[1] ~ (' for ' ~ there if there else ', which then has another name') ~ ')'
        ) %}
    {% endfor %}
    {{ return(wrong) }}
{% endmacro %}
