def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "union_wage",
        dbt.config.meta_get("study"),
        units=dbt.ref("union_wage_units"),
        scores=dbt.ref("union_wage_scores"),
        gates=dbt.ref("union_wage_gates"),
        session=session,
    )
