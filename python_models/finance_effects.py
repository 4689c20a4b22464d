def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "finance",
        dbt.config.meta_get("study"),
        units=dbt.ref("finance_units"),
        scores=dbt.ref("finance_scores"),
        gates=dbt.ref("finance_gates"),
        session=session,
    )
