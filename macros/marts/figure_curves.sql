{#
    Curves that figures draw and that no estimator writes, made in SQL from each study's units and scores: propensities by
    arm, how outcomes are distributed and what the outcome model misses (studies with scores), correlations of covariates,
    and paths over time. Each is a part by itself (macros/engine/each_study.sql).
#}
{% macro figure_curves() %}
    {% set members = [] %}
    {% for study in cqox.studies_of_this_build() %}
        {% for curve, select in cqox.curves_of_study(study) %}
            {% do members.append(cqox.part(
                {'study': study, 'estimator': 'scores', 'specification': 'default', 'curve': curve, 'series': 'failed'},
                select
            )) %}
        {% endfor %}
    {% endfor %}
    {{ members | join('\nunion all\n') if members else cqox.no_rows_of(cqox.curve_columns()) }}
{% endmacro %}

{# The pairs of curve and query of one study. #}
{% macro curves_of_study(study) %}
    {% set out = [] %}
    {% set block = cqox.study_block(study) %}
    {% set units = cqox.built_table(study ~ '_units') %}
    {% set scores = cqox.built_table(study ~ '_scores') %}
    {% if scores is not none %}
        {% do out.append(('propensity_histogram', cqox.propensity_histogram(study, scores))) %}
    {% endif %}
    {% if units is not none and block.get('outcome') %}
        {% set present = cqox.types_of_columns(units) %}
        {% if block['outcome'] in present and not cqox.is_text(present[block['outcome']]) %}
            {% do out.extend(cqox.curves_of_units(study, block, units, present)) %}
            {% if scores is not none and block.get('unit', 'unit_id') in present %}
                {% do out.extend(cqox.curves_of_arms(study, block, units, scores, present)) %}
            {% endif %}
        {% endif %}
    {% endif %}
    {{ return(out) }}
{% endmacro %}

{# Columns of a curve's points with their types, as no_rows_of takes them. #}
{% macro curve_columns() %}
    {{ return({
        'study': 'text', 'estimator': 'text', 'specification': 'text', 'estimand': 'text', 'curve': 'text',
        'series': 'text', 'x': 'double', 'x_label': 'text', 'y': 'double', 'conf_low': 'double', 'conf_high': 'double',
    }) }}
{% endmacro %}

{# Name to lower-case type of each column. #}
{% macro types_of_columns(relation) %}
    {% set out = {} %}
    {% for column in adapter.get_columns_in_relation(relation) %}
        {% do out.update({column.name: column.data_type | lower}) %}
    {% endfor %}
    {{ return(out) }}
{% endmacro %}

{% macro curves_of_units(study, block, units, present) %}
    {% set out = [] %}
    {% set used = cqox.weighing(block, units, present) %}
    {% set rows = cqox.rows_of_units(block, used) %}
    {% if cqox.are_readable(block.get('covariates'), present) %}
        {% set columns = cqox.term_expressions(units, block.get('covariates') or [])[:14] %}
        {% if columns | length > 1 %}
            {% do out.append(('covariate_correlation', cqox.covariate_correlations(study, columns, rows))) %}
        {% endif %}
    {% endif %}
    {% set time = present.get(block.get('time'), 'text') %}
    {% set dated = cqox.is_clock(time) %}
    {% if dated or not cqox.is_text(time) %}
        {% do out.append(('outcome_series', cqox.outcome_paths(study, block, used, none, dated))) %}
        {% set cohort = present.get(block.get('cohort'), 'text') %}
        {% if (dated and cqox.is_clock(cohort)) or not (dated or cqox.is_text(cohort)) %}
            {% do out.append(('cohort_path', cqox.outcome_paths(study, block, used, block['cohort'], dated))) %}
        {% endif %}
    {% endif %}
    {{ return(out) }}
{% endmacro %}

{% macro curves_of_arms(study, block, units, scores, present) %}
    {% set estimand = (block.get('decision') or {}).get('estimand') %}
    {% set weight = 'weight_ipw_att' if estimand == 'ATT' else 'weight_ipw_ate' %}
    {% set named = cqox.plain_covariates(block, present) %}
    {% set arms = cqox.outcomes_by_arm(block, units, scores, weight, named) %}
    {% set out = [
        ('outcome_histogram', cqox.outcome_histograms(study, arms)),
        ('outcome_cdf', cqox.outcome_cdf(study, arms)),
        ('outcome_ks', cqox.outcome_ks(study, arms)),
        ('quantile_effects', cqox.quantile_effects(study, arms, 'ATT' if estimand == 'ATT' else 'ATE')),
    ] %}
    {% do out.extend(cqox.residual_curves(study, arms)) %}
    {% if named %}
        {% do out.append(('outcome_by_covariate', cqox.outcome_by_covariate(study, arms, named))) %}
    {% endif %}
    {{ return(out) }}
{% endmacro %}

{# Covariates declared as bare columns of numbers, at most twelve. #}
{% macro plain_covariates(block, present) %}
    {% set out = [] %}
    {% for term in block.get('covariates') or [] %}
        {% if term in present and not cqox.is_text(present[term]) %}{% do out.append(term) %}{% endif %}
    {% endfor %}
    {{ return(out[:12]) }}
{% endmacro %}

{% macro are_readable(terms, present) %}
    {% for name in cqox.columns_of_terms(terms) %}
        {% if name not in present %}{{ return(false) }}{% endif %}
    {% endfor %}
    {% for term in terms or [] if not term.startswith('C(') and 'C(' not in term %}
        {% for name in cqox.columns_of_terms([term]) %}
            {% if cqox.is_text(present[name]) %}{{ return(false) }}{% endif %}
        {% endfor %}
    {% endfor %}
    {{ return(true) }}
{% endmacro %}

{# One row a unit with scores: arm, outcome, its cross-fitted prediction, weight and bare covariates; in brackets. #}
{% macro outcomes_by_arm(block, units, scores, weight, named) %}
    {% set built %}
    (
        select
            scores.unit_id as arm_unit,
            case when scores.treatment = 1 then 'treated' else 'control' end as arm,
            cast(units.{{ cqox.quoted(block['outcome']) }} as {{ cqox.type_double() }}) as arm_outcome,
            case when scores.treatment = 1 then scores.mu1 else scores.mu0 end as fitted,
            scores.{{ weight }} as arm_weight
            {%- for name in named %},
            cast(units.{{ cqox.quoted(name) }} as {{ cqox.type_double() }}) as covariate_{{ loop.index }}
            {%- endfor %}
        from {{ scores }} as scores
        inner join {{ cqox.drawn_units(block, units) }} as units
            on scores.unit_id = units.{{ cqox.quoted(block.get('unit', 'unit_id')) }}
        where isfinite(cast(units.{{ cqox.quoted(block['outcome']) }} as {{ cqox.type_double() }}))
    )
    {% endset %}
    {{ return(built) }}
{% endmacro %}

{# The units, and of more than the row_budget of the study a sample by a hash of the unit: sorts of all would be slow. #}
{% macro drawn_units(block, units) %}
    {% set rows = cqox.rows_of_units(block, units) %}
    {% set number = run_query('select count(*) from ' ~ units).rows[0][0] %}
    {% set every = (number / block.get('row_budget', 200000)) | round(0, 'ceil') | int %}
    {% if every <= 1 %}{{ return(rows) }}{% endif %}
    {% set unit = cqox.quoted(block.get('unit', 'unit_id')) %}
    {{ return('(select * from ' ~ rows ~ ' where hash(' ~ unit ~ ') % ' ~ every ~ ' = 0)') }}
{% endmacro %}

{# The columns of a curve that come before x; estimand: text or none. #}
{% macro curve_key(study, curve, estimand=none) %}
    {{ cqox.as_text("'" ~ study ~ "'") }} as study,
    'scores' as estimator,
    'default' as specification,
    {{ cqox.null_text() if estimand is none else "'" ~ estimand ~ "'" }} as estimand,
    '{{ curve }}' as curve
{%- endmacro %}

{# Whole rows of a curve without intervals. #}
{% macro plain_points(study, curve, series, x, y, source, label=none, estimand=none) %}
    select
        {{ cqox.curve_key(study, curve, estimand) }},
        {{ series }} as series,
        cast({{ x }} as {{ cqox.type_double() }}) as x,
        {{ cqox.null_text() if label is none else label }} as x_label,
        cast({{ y }} as {{ cqox.type_double() }}) as y,
        {{ cqox.null_double() }} as conf_low,
        {{ cqox.null_double() }} as conf_high
    from {{ source }}
{% endmacro %}
